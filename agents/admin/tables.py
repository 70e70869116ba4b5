"""All tables: importing this registers them."""

from agents.admin import catalogue, people, records, runs

__all__ = ["catalogue", "people", "records", "runs"]
