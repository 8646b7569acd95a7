"""A newsletter's rate may be set per second, hour or day as well as per minute."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("newsletters", "0001_audience_issues_and_library")]

    operations = [
        migrations.RenameField("newsletter", "rate_per_minute", "rate"),
        migrations.AlterField(
            "newsletter",
            "rate",
            models.PositiveIntegerField(
                blank=True,
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(10000000),
                ],
                verbose_name="at most",
            ),
        ),
        migrations.AddField(
            "newsletter",
            "rate_per",
            models.CharField(
                choices=[
                    ("second", "per second"),
                    ("minute", "per minute"),
                    ("hour", "per hour"),
                    ("day", "per day"),
                ],
                default="minute",
                max_length=8,
                verbose_name="mails",
            ),
        ),
    ]
