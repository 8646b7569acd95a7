"""A permission of its own for files of addresses; readers with soft bounces are found among millions."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('newsletters', '0005_lanes_of_several_processes'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='subscriber',
            options={'ordering': ['-id'], 'permissions': [('export_subscriber', "Can take readers' addresses out as a file")]},
        ),
        migrations.AddIndex(
            model_name='subscriber',
            index=models.Index(condition=models.Q(('soft_bounces__gt', 0)), fields=['id'], name='subscriber_soft_bounced'),
        ),
    ]
