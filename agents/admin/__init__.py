"""The administration: every table for operators, read-mostly."""
