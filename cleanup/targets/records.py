"""What the desk wrote down about itself: notices, alerts, the activity log, sign-ins that failed, earlier cleanings."""

from __future__ import annotations

from datetime import datetime

from django.apps import apps
from django.db.models import Exists, Max, OuterRef, Q

from cleanup.targets import scopes
from cleanup.targets.registry import Child, Target
from runs import words

SESSIONS = Target(
    key="sessions",
    label="Expired sign-in sessions",
    noun=("expired session", "expired sessions"),
    model="sessions.Session",
    date_field="expire_date",
    floor_days=1,
    description="What browsers of staff were remembered by, after it has expired.",
    promise="Whoever is signed in stays signed in.",
    number_is="the value of its cookie in the browser",
    describe=lambda session: f"Session that expired on {session.expire_date:%d %b %Y}",
)
FAILED_SIGN_INS = Target(
    key="failed_sign_ins",
    label="Sign-ins that failed",
    noun=("failed sign-in", "failed sign-ins"),
    model="axes.AccessAttempt",
    date_field="attempt_time",
    floor_days=1,
    description="Wrong passwords, counted by name and address so that guessing is slowed down for a quarter of an hour.",
    promise="Whoever is locked out now stays locked out.",
    children=(Child("axes.AccessAttemptExpiration", "access_attempt"),),
    describe=lambda row: f"{row.username or 'Somebody'}, {words.plain_date(row.attempt_time)}",
)
NOTICES = Target(
    key="notices",
    label="Notices that were read",
    noun=("read notice", "read notices"),
    model="runs.Notice",
    date_field="read_at",
    order=("pk",),
    floor_days=7,
    description="Messages to staff, after they were read.",
    promise="What nobody has read yet stays, however old it is.",
    describe=lambda row: f"{row.text}, read {words.plain_date(row.read_at)}",
)
ALERTS = Target(
    key="alerts",
    label="Problems that are over",
    noun=("problem that is over", "problems that are over"),
    model="runs.Alert",
    date_field="resolved_at",
    order=("pk",),
    floor_days=30,
    condition=Q(recovery_told_at__isnull=False) | Q(told_at=None),
    description="What was wrong, since when, who was told of it, and when it was over.",
    promise="Problems that last, and those whose end nobody was told of yet, stay.",
    describe=lambda row: f"{row.title}, over since {words.plain_date(row.resolved_at)}",
)
ACTIVITY_LOG = Target(
    key="activity_log",
    label="The activity log",
    noun=("log entry", "log entries"),
    model="runs.AuditEntry",
    date_field="at",
    order=("pk",),
    floor_days=365,
    description="Who changed or tried what, when and why, with the values before and after.",
    promise="At least a year of it always stays, whatever a policy says.",
    describe=lambda row: f"{row}, {words.plain_date(row.at)}",
)
ADMIN_LOG = Target(
    key="admin_log",
    label="The log of Django’s own admin pages",
    noun=("admin log entry", "admin log entries"),
    model="admin.LogEntry",
    date_field="action_time",
    order=("pk",),
    floor_days=365,
    description="What Django notes by itself when somebody saves a form here; the activity log says the same and more.",
    promise="At least a year of it always stays.",
    describe=lambda row: f"{row.object_repr}, {words.plain_date(row.action_time)}",
)
FEEDBACK = Target(
    key="feedback",
    label="Feedback from readers",
    noun=("message", "messages"),
    model="newsletters.FeedbackMessage",
    date_field="created_at",
    order=("pk",),
    floor_days=90,
    condition=Q(mailed_at__isnull=False),
    description="What readers wrote through the feedback form, after it was mailed to staff.",
    promise="A message that never reached staff by mail stays.",
    scopes=(scopes.person("email__iexact"),),
    describe=lambda row: f"{row}, {words.plain_date(row.created_at)}",
)
IMPORTS = Target(
    key="imports",
    label="Records of imports",
    noun=("import", "imports"),
    model="newsletters.ImportJob",
    date_field="created_at",
    order=("pk",),
    floor_days=60,
    # Its file goes by itself after a month; one that still has it could be continued.
    condition=Q(state__in=("done", "failed", "cancelled"), file=""),
    description="What became of files of subscribers, with the list of rows that were wrong.",
    promise="Imports that can still be continued stay, and so does everybody whom they brought.",
    children=(
        Child("newsletters.ImportProblem", "job"),
        Child("newsletters.ImportJob_lists", "importjob"),
    ),
    names_people=True,
    describe=lambda row: f"{row}, {words.plain_date(row.created_at)}",
)


def previews_nobody_needs(cutoff: datetime) -> Q:
    """No policy was enabled by them, and nobody is asked to agree to what they say."""
    approvals = apps.get_model("cleanup.CleanupApproval")._default_manager
    asked = approvals.filter(preview=OuterRef("pk"), approved_at=None, refused_at=None)
    return Q(enabled_it=False) & ~Q(Exists(asked))


PREVIEWS = Target(
    key="cleanup_previews",
    label="Previews of cleanups",
    noun=("preview", "previews"),
    model="cleanup.CleanupPreview",
    date_field="created_at",
    order=("pk",),
    floor_days=7,
    condition=previews_nobody_needs,
    description="What policies would have deleted, with samples of rows.",
    promise="The latest preview of each policy stays, and so do the one that it was switched on by and what somebody is "
    "asked to approve.",
    group_by="policy",
    group_members=Q(),
    keep_at_least=1,
    children=(
        Child("cleanup.CleanupApproval", "preview", "unlink"),
        Child("cleanup.CleanupRun", "preview", "unlink"),
    ),
    describe=lambda row: f"{row}, {words.plain_date(row.created_at)}",
    describe_related=("policy",),
)


def settled_cleanings(cutoff: datetime) -> Q:
    """Ended, their archives gone, and not the one that says up to when the ledger was cleaned."""
    parts = apps.get_model("cleanup.ArchivePart")._default_manager.filter(cleanup_run=OuterRef("pk"), deleted_at=None)
    cleanings = apps.get_model("cleanup.CleanupRun")._default_manager.filter(deleted__has_key="runs")
    furthest = cleanings.aggregate(at=Max("cutoff"))["at"]
    known = ~Q(deleted__has_key="runs", cutoff=furthest) if furthest is not None else Q()
    return Q(finished_at__isnull=False) & ~Q(Exists(parts)) & known


CLEANINGS = Target(
    key="cleanings",
    label="Records of earlier cleanups",
    noun=("record of a cleanup", "records of cleanups"),
    model="cleanup.CleanupRun",
    date_field="started_at",
    order=("pk",),
    floor_days=365,
    condition=settled_cleanings,
    description="How many rows each cleanup deleted; the report “Cleanup volumes” reads it.",
    promise="The last twenty of each policy stay, and every cleanup whose archive is still there.",
    group_by="policy",
    group_members=Q(),
    keep_at_least=20,
    children=(
        Child("cleanup.ArchivePart", "cleanup_run"),
        Child("cleanup.FileOutbox", "cleanup_run", "unlink"),
    ),
    describe=lambda row: f"{row}, {words.plain_date(row.started_at)}",
)
