"""The Django project: settings, routes, entry points and the `agentsite` command."""

__version__ = "0.1.0"
