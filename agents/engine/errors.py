"""What can go wrong in the engine.

EngineError
├── StepFailed            what a workflow sees when a step has failed for good
│   ├── StepTimeout       … because its time was up
│   └── OutputInvalid     … because the model's answer does not fit what was asked for
├── Retryable             a step asks for another attempt
├── Permanent             a step says that another attempt is useless
│   └── CapReached        … since it would go beyond what its tree of runs may take
├── NoEffect              an unsafe step says that it surely did nothing
│   └── NeedsApproval     … since a person has to allow it first
├── Interrupted           an attempt was ended by a stop of its worker: not its fault
├── LoopBlocked           a step kept the event loop, and all runs of its worker, from going on
├── WorkflowError         the workflow's code is wrong
│   ├── UnknownWorkflow
│   ├── ForeignTask
│   └── NotEncodable
└── LeaseLost             another worker holds the run now

ControlFlow (BaseException)
└── Sealed                the run was parked, cancelled or lost: nothing it does counts any more
"""

from __future__ import annotations


class EngineError(Exception):
    """Something went wrong in the engine."""


class StepFailed(EngineError):
    """A step has failed for good.

    `type` is the name of the failure, `message` its text, `key` the step. A replay raises the same again.
    """

    def __init__(self, type: str, message: str, key: str) -> None:
        super().__init__(f"{key}: {type}: {message}")
        self.type = type
        self.message = message
        self.key = key


class StepTimeout(StepFailed):
    """A step was not done within its time."""


class OutputInvalid(StepFailed):
    """A model's answer does not fit the form that was asked for, although it was told what is wrong.

    Not a step has failed, but what all of them together came to; `key` is the last one.
    """

    def __init__(self, message: str, key: str) -> None:
        super().__init__("OutputInvalid", message, key)


class Retryable(EngineError):
    """This attempt failed, another one may succeed. `retry_after` is in seconds, if the other side named one.

    `instead` names who may be asked once the attempts are used up, if anybody is known.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.instead = ""


class Permanent(EngineError):
    """This step can't succeed, however often it is tried. `type` is what the workflow sees as the failure's name.

    `instead` names who may be asked in the place of whoever failed, if anybody is known.
    """

    def __init__(self, message: str, type: str = "Permanent") -> None:
        super().__init__(message)
        self.type = type
        self.instead = ""


class CapReached(Permanent):
    """A cap is met: this run, or the tree of runs it belongs to, may take no more. The message says which."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type(self).__name__)


class NoEffect(EngineError):
    """An unsafe step failed before it had any effect, so it may be tried again."""


class NeedsApproval(NoEffect):
    """A tool found out that a person has to allow this call first; nothing was done. The message says why."""


class Interrupted(EngineError):
    """An attempt was ended for reasons of the machine's; another one takes its place, and none is used up."""


class LoopBlocked(EngineError):
    """A step kept its worker's event loop from turning; `where` is the place in the code, `seconds` how long."""

    def __init__(self, where: str, seconds: float) -> None:
        super().__init__(
            f"The step blocked the event loop for {seconds:g} s, and with it all runs of its worker, which was killed"
            f"{where}. "
            "Code that computes or waits without await belongs into a plain function (def, not async def): "
            "those run in a thread."
        )


class WorkflowError(EngineError):
    """The workflow's code is wrong; another attempt with the same code fails in the same way."""


class UnknownWorkflow(WorkflowError):
    """No workflow of this name is registered here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No workflow named {name!r} is registered; name its module in WORKFLOW_MODULES.")
        self.name = name


class ForeignTask(WorkflowError):
    """A ctx call came from a task the engine did not start.

    Replay could not tell its steps from those of other tasks: use ctx.gather, ctx.race or ctx.timeout
    instead of asyncio.gather, create_task or wait_for.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"ctx.{what} was called from an asyncio task that the engine did not start; "
            "use ctx.gather, ctx.race or ctx.timeout instead of asyncio.gather, create_task or wait_for."
        )


class NotEncodable(WorkflowError):
    """A value can't be recorded because it has no JSON form."""


class LeaseLost(EngineError):
    """Another worker holds this run now; what this one still did is not recorded."""


class ControlFlow(BaseException):
    """The engine's own control flow; not an Exception, so that `except Exception` in a workflow lets it through."""


class Sealed(ControlFlow):
    """The run was parked, cancelled or taken over: this coroutine is being dropped."""
