"""From the failures of pydantic-ai and its HTTP client to those of agents.llm.errors."""

from __future__ import annotations

import httpx2
from openai import OpenAIError
from pydantic_ai import exceptions as failures

from agents.engine.errors import EngineError
from agents.llm.config import ModelConfig, ModelName
from agents.llm.errors import AnswerCut, MalformedAnswer, ModelUnavailable, RateLimited, refused

TRANSLATED = (failures.AgentRunError, failures.UserError, OpenAIError, httpx2.HTTPError, httpx2.StreamError)
"""What `translate` understands."""

_TRANSIENT = (408, 409, 425)
_CUT = "without a `finish_reason`"
_MAX_DETAIL = 300


def translate(error: Exception, name: ModelName, config: ModelConfig, *, begun: bool) -> EngineError:
    """Give the engine's error for a failed request. `begun` says that the answer had begun to come."""
    where = config.base_url or "OpenAI"
    match error:
        case failures.ModelRateLimitError():
            return RateLimited(f"{name} is rate limited by {where}.", error.retry_after)
        case failures.ModelRequestTimeout():
            return ModelUnavailable(f"{name} did not answer in time.")
        case failures.ModelConnectionError():
            return _broken(error, name, where, begun=begun)
        case failures.ModelAPIError() if (final := _final(error, name, where)) is not None:
            return final
        case failures.ModelHTTPError():
            return _by_status(error, name, where)
        case _:
            return _without_status(error, name, where)


def _final(error: failures.ModelAPIError, name: ModelName, where: str) -> EngineError | None:
    """Give what the operator or the agent's author has to mend; None if it is nothing of that kind."""
    said = _detail(error)
    match error:
        case failures.ModelQuotaExceededError():
            return refused("ModelQuota", f"The account at {where} has no quota left for {name}: {said}")
        case failures.ModelContextWindowExceededError():
            return refused("ModelContextFull", f"The conversation is too long for {name}: {said}")
        case failures.ModelAuthenticationError():
            return refused("ModelAuthentication", f"{where} refused the key for {name}; check OPENAI_API_KEY ({said}).")
        case failures.ModelNotFoundError():
            hint = "check the agent's model and OPENAI_BASE_URL"
            return refused("ModelNotFound", f"{where} has no model {name.model!r}; {hint} ({said}).")
        case _:
            return None


def _broken(error: failures.ModelConnectionError, name: ModelName, where: str, *, begun: bool) -> EngineError:
    if isinstance(error, failures.ModelTimeoutError):
        return ModelUnavailable(f"{name} did not answer in time.")
    if error.phase == "connect":
        return ModelUnavailable(f"{where} can't be reached for {name}; check OPENAI_BASE_URL ({_short(error)}).")
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
