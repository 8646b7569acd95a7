from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('cleanup', '0003_the_preview_that_enabled_a_policy'),
    ]

    operations = [
        migrations.AddField(
            model_name='hold',
            name='meant_id',
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='hold',
            name='object_id',
            field=models.CharField(blank=True, help_text='Leave empty to hold all of them.', max_length=400, verbose_name='number of the row'),
        ),
    ]
