"""What an agent is, as data: its definition, how it is checked, compared, written out and read in. No database here."""
