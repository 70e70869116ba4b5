"""Which address and key a model is asked at, what it costs and holds, and what its name says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from agents.llm.errors import refused

OFFLINE = "offline"
SECRET = "secret:"  # noqa: S105 (what stands before a secret's name)
"""A key `secret:openai` is the secret `openai` of the run's workspace, so that each workspace may pay for itself."""
EXAMPLE = "openai:gpt-5-mini"
OPENAI_ADDRESS = "https://api.openai.com/v1"
ANTHROPIC_ADDRESS = "https://api.anthropic.com"

Kind = Literal["openai", "compatible", "anthropic"]
"""The protocol that an address speaks: OpenAI's at its own address, the same elsewhere, or Anthropic's."""
PRICES = ("input", "output", "cached")


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's name, taken apart: `openai:gpt-5-mini` is model gpt-5-mini of provider openai."""

    provider: str
    model: str

    @classmethod
    def parse(cls, name: str) -> ModelName:
        """Take a name apart at its first colon (the model's own part may hold more of them)."""
        provider, colon, model = name.strip().partition(":")
        if not (colon and provider and model):
            raise refused(
                "ModelNotConfigured",
                f"{name!r} names no model; write 'offline', or '<provider>:<model>' as in '{EXAMPLE}'.",
            )
        return cls(provider, model)

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one model is reached. An empty `base_url` is the provider's own address.

    `prices` are US dollars per million tokens by the full name of a model, `context` how many tokens the model takes.
    An address that a workspace has named is `guarded`: requests reach it only where the operator's rules let them.
    `takes_schemas` says that an answer's form may be sent along. `key_name` and `address_name` are what people
    know key and address by. `pause` is what all wait for whom this account asks to wait.
    """

    kind: Kind
    api_key: str = field(default="", repr=False)
    base_url: str = ""
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    context: int | None = None
    guarded: bool = False
    takes_schemas: bool = False
    key_name: str = "OPENAI_API_KEY"
    address_name: str = "OPENAI_BASE_URL"
    pause: str = ""

    @property
    def place(self) -> str:
        """The address in words."""
        return self.base_url or ("Anthropic" if self.kind == "anthropic" else "OpenAI")

    @property
    def host(self) -> str:
        """The host that a key is sent to, if a workspace has named the address; the operator's are not asked about."""
        own = {"anthropic": ANTHROPIC_ADDRESS, "openai": OPENAI_ADDRESS}
        return (urlsplit(self.base_url or own.get(self.kind, "")).hostname or "") if self.guarded else ""


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """A provider of a workspace's own. `secret` names the secret that is its key, if it wants one.

    `models` has what is known of each model: prices in US dollars per million tokens (`input`, `output`, `cached`), and
    `context`, how many tokens it takes.
    """

    name: str
    kind: Kind
    base_url: str = ""
    secret: str = ""
    takes_schemas: bool = False
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def endpoint(self, name: ModelName, workspace_id: int, prices: Mapping[str, Mapping[str, float]]) -> Endpoint:
        """Give how a model of it is reached; `prices` count for models that it has none for."""
        own = self.models.get(name.model, {})
        priced = {key: own[key] for key in PRICES if key in own}
        context = own.get("context")
        return Endpoint(
            kind=self.kind,
            api_key=f"{SECRET}{self.secret}" if self.secret else "",
            base_url=self.base_url,
            prices={**prices, str(name): priced} if priced else prices,
            context=int(context) if context else None,
            guarded=True,
            takes_schemas=self.takes_schemas or self.kind != "compatible",
            key_name=f"the secret of the provider {self.name!r}",
            address_name=f"the address of the provider {self.name!r}",
            # Its account is the workspace's: others who have a provider of this name have nothing to wait for.
            pause=f"llm:{self.name} (workspace {workspace_id})",
        )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """How models are reached by the operator's settings. An empty `base_url` is OpenAI's own address."""

    api_key: str = field(default="", repr=False)
    base_url: str = ""
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    anthropic_api_key: str = field(default="", repr=False)
    anthropic_base_url: str = ""

    @classmethod
    def from_settings(cls) -> ModelConfig:
        """Read the operator's settings."""
        from django.conf import settings

        return cls(
            api_key=_setting(settings, "OPENAI_API_KEY", ""),
            base_url=_setting(settings, "OPENAI_BASE_URL", ""),
            prices=_setting(settings, "MODEL_PRICES", {}),
            anthropic_api_key=_setting(settings, "ANTHROPIC_API_KEY", ""),
            anthropic_base_url=_setting(settings, "ANTHROPIC_BASE_URL", ""),
        )

    def endpoint(self, name: ModelName) -> Endpoint:
        """Give how a model is reached; raises Permanent (ModelNotConfigured) if the settings do not say."""
        pause = f"llm:{name.provider}"
        if name.provider == "anthropic" and (self.anthropic_api_key or self.anthropic_base_url):
            return Endpoint(
                "anthropic",
                self.anthropic_api_key,
                _unless(self.anthropic_base_url, ANTHROPIC_ADDRESS),
                self.prices,
                takes_schemas=True,
                key_name="ANTHROPIC_API_KEY",
                address_name="ANTHROPIC_BASE_URL",
                pause=pause,
            )
        base_url = _unless(self.base_url, OPENAI_ADDRESS)
        is_openai = name.provider == "openai" and not base_url
        if not self.base_url and not is_openai:
            hint = "set ANTHROPIC_API_KEY, or " if name.provider == "anthropic" else ""
            raise refused(
                "ModelNotConfigured",
                f"Nobody serves {name} here: add a provider named {name.provider!r} to the workspace, {hint}set "
                "OPENAI_BASE_URL to an address that serves it.",
            )
        if is_openai and not self.api_key:
            raise refused("ModelNotConfigured", f"Set OPENAI_API_KEY to use {name}, or choose the model 'offline'.")
        kind: Kind = "openai" if is_openai else "compatible"
        # A gateway that is named in the place of OpenAI's own address may know less than that does.
        url = "" if is_openai else self.base_url
        return Endpoint(kind, self.api_key, url, self.prices, takes_schemas=is_openai, pause=pause)


def _unless(address: str, own: str) -> str:
    return "" if address.rstrip("/") == own else address


def _setting(settings: Any, name: str, default: Any) -> Any:
    return getattr(settings, name, default) or default
