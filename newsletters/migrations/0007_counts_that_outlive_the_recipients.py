"""What an issue's recipients added up to is kept on the issue when a cleanup removes them."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('newsletters', '0006_export_and_soft_bounces'),
    ]

    operations = [
        migrations.AddField(
            model_name='issue',
            name='kept_counts',
            field=models.JSONField(blank=True, default=dict, help_text='What is still counted after that: see newsletters/kept_counts.py.'),
        ),
        migrations.AddField(
            model_name='issue',
            name='recipients_removed_at',
            field=models.DateTimeField(blank=True, help_text='When a cleanup began to remove who got it.', null=True, verbose_name='recipients removed'),
        ),
    ]
