"""The administration, with our own site in place of Django's."""

from importlib import import_module

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    """Names our site by its path, because sites are made when the tables are there, not before."""

    default_site = "agents.admin.site.Site"

    def ready(self) -> None:
        """Make the site, then register our tables with it: in that order, for one needs the other."""
        super().ready()
        import_module("agents.admin.tables")
