from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reports", "0003_files_that_are_there")]

    operations = [
        migrations.AddIndex(
            model_name="downloadevent",
            index=models.Index(fields=["ip", "at"], name="downloadevent_by_address"),
        ),
    ]
