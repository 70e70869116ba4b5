"""A step between two attempts is `retrying`: the tables take that state too."""

from django.db import migrations, models

STATES = ("running", "retrying", "succeeded", "failed", "interrupted", "unknown")


class Migration(migrations.Migration):
    dependencies = (("agents", "0005_tune_hot_tables"),)

    operations = (
        migrations.RemoveConstraint(model_name="step", name="step_status_known"),
        migrations.AlterField(
            model_name="step",
            name="status",
            field=models.CharField(choices=[(state, state.title()) for state in STATES], max_length=12),
        ),
        migrations.AddConstraint(
            model_name="step",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", list(STATES))), name="step_status_known"
            ),
        ),
    )
