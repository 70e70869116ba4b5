"""All tables: importing this registers them."""

from agents.admin import catalogue, people, records, runs, secrets

__all__ = ["catalogue", "people", "records", "runs", "secrets"]
