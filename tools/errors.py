"""What can go wrong with tools.

ToolsError
├── ToolFailed              the tool can't do this; the model reads why
│   ├── InvalidArguments    the arguments do not fit the tool's parameters
│   ├── UnknownTool         no tool has this name
│   ├── UnknownSecret       the workspace has no secret of this name
│   ├── SecretUnreadable    a secret can't be decrypted with the keys of this machine
│   ├── SecretRefused       a secret may not be sent there
│   ├── AddressRefused      an address that outbound requests may not reach
│   │   ├── HostNotListed   a host that agents may not send requests to
│   │   └── RobotsRefused   the site's robots.txt does not want it
│   ├── BadResponse         the other side answered in a way that can't be used
│   │   ├── ResponseTooLarge
│   │   ├── TooManyRedirects
│   │   └── UnsupportedContent
│   └── Unreachable         there is no such host
├── ToolRetry               it failed now; another attempt may succeed
│   ├── ConnectionFailed    the other side could not be reached, was too slow or broke off
│   │   └── NotConnected    it could not be reached: nothing was sent
│   └── ToolTimeout         the tool was not done within its time
├── NeedsApproval           a person has to allow this call first
├── NoEffect                an unsafe tool failed before it had any effect
├── BadResult               the tool returned what is no result: a mistake in the tool
└── BadTool                 a tool was declared wrongly: a mistake found at start
    └── DuplicateTool
"""

from __future__ import annotations


class ToolsError(Exception):
    """Something went wrong with a tool."""


class ToolFailed(ToolsError):
    """The tool can't do what it was asked; the message tells the model why, so that it can do something else."""


class ToolRetry(ToolsError):
    """This attempt failed, another may succeed. `retry_after` is in seconds, if the other side named a time."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NeedsApproval(ToolsError):
    """The tool found out that a person has to allow this call first; the message says why. It has done nothing yet."""


class NoEffect(ToolsError):
    """An unsafe tool failed before it had any effect, so that it may be tried again without asking anybody."""


class BadResult(ToolsError):
    """The tool returned something that is neither text nor JSON nor a ToolOutput."""


class BadTool(ToolsError):
    """A function can't be made a tool as it is declared."""


class DuplicateTool(BadTool):
    """Two tools have the same name."""


class InvalidArguments(ToolFailed):
    """The arguments do not fit the tool's parameters."""


class UnknownTool(ToolFailed):
    """No tool has this name."""


class UnknownSecret(ToolFailed):
    """The workspace has no secret of this name."""


class SecretUnreadable(ToolFailed):
    """A secret can't be decrypted with the keys of this machine."""


class SecretRefused(ToolFailed):
    """A secret may not be sent there."""


class AddressRefused(ToolFailed):
    """Outbound requests may not reach this address."""


class HostNotListed(AddressRefused):
    """Agents may not send requests to this host."""


class RobotsRefused(AddressRefused):
    """The site's robots.txt does not want this address to be fetched."""


class Unreachable(ToolFailed):
    """There is no host of this name."""


class BadResponse(ToolFailed):
    """The other side's answer can't be used."""


class ResponseTooLarge(BadResponse):
    """The answer is larger than what is read."""


class TooManyRedirects(BadResponse):
    """The address leads from one redirect to the next."""


class UnsupportedContent(BadResponse):
    """The answer is of a kind that can't be read as text."""


class ConnectionFailed(ToolRetry):
    """The other side could not be reached, was too slow or broke off."""


class ToolTimeout(ToolRetry):
    """The tool was not done within its time."""


class NotConnected(ConnectionFailed):
    """The other side could not be reached; nothing was sent."""
