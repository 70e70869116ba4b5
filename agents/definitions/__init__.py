"""What an agent is, as data: its definition, how it is checked, compared, written out and read in. No database here."""

from __future__ import annotations

from agents.definitions.checking import Surroundings, problems_of
from agents.definitions.comparing import Change, changes_between
from agents.definitions.definition import FIELDS, Definition, Problem, read_definition
from agents.definitions.exchange import read_yaml, write_yaml
from agents.definitions.schemas import Mismatch, mismatch_of, schema_fault
from agents.definitions.template import names_for, render

__all__ = [
    "FIELDS",
    "Change",
    "Definition",
    "Mismatch",
    "Problem",
    "Surroundings",
    "changes_between",
    "mismatch_of",
    "names_for",
    "problems_of",
    "read_definition",
    "read_yaml",
    "render",
    "schema_fault",
    "write_yaml",
]
