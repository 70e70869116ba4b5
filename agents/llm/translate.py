"""From the failures of pydantic-ai and its HTTP client to those of agents.llm.errors."""

from __future__ import annotations

import httpx2
from anthropic import AnthropicError
from openai import OpenAIError
from pydantic_ai import exceptions as failures

from agents.engine.errors import EngineError
from agents.llm.config import Endpoint, ModelName
from agents.llm.errors import AnswerCut, MalformedAnswer, ModelUnavailable, RateLimited, refused
from tools.errors import AddressRefused, ToolsError

TRANSLATED = (
    failures.AgentRunError,
    failures.UserError,
    OpenAIError,
    AnthropicError,
    httpx2.HTTPError,
    httpx2.StreamError,
    ToolsError,
)
"""What `translate` understands."""

_TRANSIENT = (408, 409, 425)
_CUT = "without a `finish_reason`"
_MAX_DETAIL = 300


def translate(error: Exception, name: ModelName, endpoint: Endpoint, *, begun: bool) -> EngineError:
    """Give the engine's error for a failed request. `begun` says that the answer had begun to come."""
    where = endpoint.place
    if (guarded := _guarded(error)) is not None:
        return _not_reached(guarded, name, endpoint)
    match error:
        case failures.ModelRateLimitError():
            return RateLimited(f"{name} is rate limited by {where}.", error.retry_after)
        case failures.ModelRequestTimeout():
            return ModelUnavailable(f"{name} did not answer in time.")
        case failures.ModelConnectionError():
            return _broken(error, name, endpoint, begun=begun)
        case failures.ModelAPIError() if (final := _final(error, name, endpoint)) is not None:
            return final
        case failures.ModelHTTPError():
            return _by_status(error, name, where)
        case _:
            return _without_status(error, name, where)


def _guarded(error: Exception) -> ToolsError | None:
    """Give what kept a request to a workspace's own address from going there, if that is at the bottom of it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ToolsError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _not_reached(error: ToolsError, name: ModelName, endpoint: Endpoint) -> EngineError:
    if isinstance(error, AddressRefused):
        return refused("ModelNotConfigured", f"{name} can't be asked: {_short(error)}")
    return ModelUnavailable(
        f"{endpoint.place} can't be reached for {name}; check {endpoint.address_name} ({_short(error)})."
    )


def _final(error: failures.ModelAPIError, name: ModelName, endpoint: Endpoint) -> EngineError | None:
    """Give what the operator or the agent's author has to mend; None if it is nothing of that kind."""
    where, said = endpoint.place, _detail(error)
    match error:
        case failures.ModelQuotaExceededError():
            return refused("ModelQuota", f"The account at {where} has no quota left for {name}: {said}")
        case failures.ModelContextWindowExceededError():
            return refused("ModelContextFull", f"The conversation is too long for {name}: {said}")
        case failures.ModelAuthenticationError():
            return refused(
                "ModelAuthentication", f"{where} refused the key for {name}; check {endpoint.key_name} ({said})."
            )
        case failures.ModelNotFoundError():
            hint = f"check the agent's model and {endpoint.address_name}"
            return refused("ModelNotFound", f"{where} has no model {name.model!r}; {hint} ({said}).")
        case _:
            return None


def _broken(error: failures.ModelConnectionError, name: ModelName, endpoint: Endpoint, *, begun: bool) -> EngineError:
    where = endpoint.place
    if isinstance(error, failures.ModelTimeoutError):
        return ModelUnavailable(f"{name} did not answer in time.")
    if error.phase == "connect":
        return ModelUnavailable(
            f"{where} can't be reached for {name}; check {endpoint.address_name} ({_short(error)})."
        )
    if begun:
        return AnswerCut(f"The answer of {name} was cut: the connection broke.")
    return ModelUnavailable(f"The connection to {where} broke: {_short(error)}", error.retry_after)


def _by_status(error: failures.ModelHTTPError, name: ModelName, where: str) -> EngineError:
    status = error.status_code
    if status >= 500 or status in _TRANSIENT:
        return ModelUnavailable(f"{where} failed with status {status} for {name}.", error.retry_after)
    return refused("ModelRejected", f"{where} rejected the request for {name} (status {status}): {_detail(error)}")


def _without_status(error: Exception, name: ModelName, where: str) -> EngineError:
    match error:
        case failures.ModelAPIError() if _CUT in str(error):
            return AnswerCut(f"The answer of {name} was cut.")
        case failures.ModelRequestRejectedError() | failures.UserError():
            return refused("ModelRejected", f"The request for {name} can't be sent or was rejected: {_short(error)}")
        case failures.ModelAPIError() if "decode" in str(error) or "JSON" in str(error):
            return MalformedAnswer(f"{where} sent something that is no answer: {_short(error)}")
        case failures.UnexpectedModelBehavior():
            return MalformedAnswer(f"The answer of {name} can't be read: {_short(error)}")
        case httpx2.RemoteProtocolError() | httpx2.StreamError():
            return AnswerCut(f"The answer of {name} was cut: {_short(error)}")
        case _:
            return ModelUnavailable(f"{where} failed for {name}: {_short(error)}")


def _detail(error: failures.ModelAPIError) -> str:
    """Give what the provider said itself, if it did."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        said = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(said, str) and said:
            return _cut(said)
    return _short(error)


def _short(error: Exception) -> str:
    return _cut(str(error) or type(error).__name__)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_DETAIL else text[: _MAX_DETAIL - 1] + "…"
