"""Chaos: a real product under mixed work, its processes and its database disturbed at random, and what must hold.

    python -m tests.chaos --seed 7 --seconds 60 --database postgresql

docs/chaos.md explains what it does, what it checks and how to read a breach.
"""
