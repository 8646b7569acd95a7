"""The message by which a process that sends an issue asks others for help. Lost or doubled, it changes nothing."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="newsletters.help_send", ignore_result=True, acks_late=False)
def help_send(issue_id: int, number: int, run_id: int) -> None:
    """Sends a part of the issue on the lane of this number, for a while."""
    from newsletters import helping  # beats know the message as well, and need nothing of what it does

    helping.take_a_turn(issue_id, number, run_id)
