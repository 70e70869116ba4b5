"""Looking at something outside, and telling what has changed since the last look.

Each kind has a module with `read_target`, which checks what is to be looked at, and `look`, which looks. A look has
no effect; what it saw is kept by whoever asked for it, together with what follows from it.
"""
