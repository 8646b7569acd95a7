"""The demo's policies can be previewed, the ones that are on were enabled as a person does it, and they run."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from cleanup import running, services
from cleanup.models import CleanupPolicy, CleanupRun
from newsletters.models import Subscriber, Subscription
from scheduler_site import demo
from tests.cleanup.conftest import begin


@pytest.mark.django_db
def test_the_demo_policies_are_real() -> None:
    call_command("loaddata", "demo_newsletters", "demo_reports", "demo_cleanup", verbosity=0)
    demo.load()
    assert set(CleanupPolicy.objects.filter(is_enabled=True).values_list("name", flat=True)) == set(demo._ENABLED)
    people = Subscriber.objects.count()
    for policy in CleanupPolicy.objects.order_by("pk"):
        services.preview_policy(None, policy.pk)
        if not policy.is_enabled:
            services.enable_policy(None, policy.pk)
        running.perform(begin(policy))
    assert set(CleanupRun.objects.values_list("state", flat=True)) == {CleanupRun.State.DONE}
    assert not Subscription.objects.filter(state="pending").exists()
    first = CleanupRun.objects.order_by("pk").first()
    assert first is not None and first.deleted["unconfirmed_subscriptions"] == 12
    assert people - Subscriber.objects.count() == first.deleted.get("people_on_no_list", 0)
