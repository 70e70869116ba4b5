"""Limits that hold across all processes: so many in a period, so many at once."""
