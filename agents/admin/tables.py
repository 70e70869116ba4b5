"""All tables: importing this registers them."""

from agents.admin import approvals, catalogue, people, records, runs, secrets

__all__ = ["approvals", "catalogue", "people", "records", "runs", "secrets"]
