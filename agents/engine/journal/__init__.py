"""The journal: the only writer of the hot path."""
