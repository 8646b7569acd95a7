"""Every issue gets the number that its public address is made of."""

import uuid

from django.db import migrations, models


def number(apps, schema_editor):
    issues = apps.get_model("newsletters", "Issue").objects
    for pk in issues.values_list("pk", flat=True).iterator():
        issues.filter(pk=pk).update(public_id=uuid.uuid4())


class Migration(migrations.Migration):
    # PostgreSQL refuses to alter a column in the transaction that filled it.
    atomic = False

    dependencies = [("newsletters", "0003_sources_segments_approval_and_responses")]

    operations = [
        migrations.RunPython(number, migrations.RunPython.noop),
        migrations.AlterField(
            "issue",
            "public_id",
            models.UUIDField(default=uuid.uuid4, editable=False, unique=True),
        ),
    ]
