from django.db import migrations, models
from django.db.models import F, Q


def mark(apps, schema_editor):
    """What is on goes on: it was enabled by a preview of this rule, and the latest of them counted last."""
    previews = apps.get_model("cleanup", "CleanupPreview").objects
    rows = previews.filter(policy__is_enabled=True, rule_hash=F("policy__enabled_rule_hash"))
    latest = dict(rows.order_by("id").values_list("policy_id", "id"))
    previews.filter(pk__in=latest.values()).update(enabled_it=True)


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0002_previews_approvals_archives_and_holds_by_scope"),
    ]

    operations = [
        migrations.AddField(
            model_name="cleanuppreview",
            name="enabled_it",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop, elidable=True),
        migrations.AddConstraint(
            model_name="cleanuppreview",
            constraint=models.UniqueConstraint(
                condition=Q(enabled_it=True), fields=("policy",), name="enabled_by_one_preview"
            ),
        ),
    ]
