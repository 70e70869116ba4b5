"""The protocol as a state machine, small enough to try every interleaving.

The tables are tuples, written by the very algorithm of the journal (`Store.write` and its pure functions); workers,
people, time and the reaper are transitions. `python -m tests.protocol` explores them all and counts the states.
"""
