from django.db import migrations
from django.db.models import OuterRef, Subquery


def describe(apps, schema_editor):
    """Give each version the description that its agent has."""
    agents = apps.get_model("agents", "Agent").objects.filter(pk=OuterRef("agent_id"))
    apps.get_model("agents", "AgentVersion").objects.update(description=Subquery(agents.values("description")[:1]))


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0014_add_caps'),
    ]

    operations = [
        migrations.RunPython(describe, migrations.RunPython.noop),
    ]
