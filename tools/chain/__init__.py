"""What happens around a tool's function when it is called: small wrappers, each doing one thing.

    validate → share → begin → shape → batch → timeout → run

A wrapper takes the tool and the handler inside it, and gives a handler. One that has nothing to do for a tool gives the
inner handler itself, so that a call passes only what its tool has declared.

What concerns the step as a whole stands before the chain, in the engine, as it has to be recorded: whether the run is
tainted, whether a person has allowed the call, and how often it is tried again. What waits stands before `begin`: a
call's time runs only once it begins.
"""

from tools.chain.calls import Call, Handler, Wrapper
from tools.chain.composing import WRAPPERS, compose

__all__ = ["WRAPPERS", "Call", "Handler", "Wrapper", "compose"]
