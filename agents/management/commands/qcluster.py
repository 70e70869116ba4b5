"""`manage.py qcluster`: django-q2's name for `agentsite worker`, so that its habits keep working."""

from agents.management.commands.worker import Command

__all__ = ["Command"]
