"""Which address and key a model is asked at, and what its name says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.llm.errors import refused

OFFLINE = "offline"
SECRET = "secret:"  # noqa: S105 (what stands before a secret's name)
"""A key `secret:openai` is the secret `openai` of the run's workspace, so that each workspace may pay for itself."""
EXAMPLE = "openai:gpt-5-mini"
OPENAI_ADDRESS = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """How models are reached. An empty `base_url` is OpenAI's own address."""

    api_key: str = field(default="", repr=False)
    base_url: str = ""
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def from_settings(cls) -> ModelConfig:
        """Read the operator's settings."""
        from django.conf import settings

        return cls(
            api_key=_setting(settings, "OPENAI_API_KEY", ""),
            base_url=_setting(settings, "OPENAI_BASE_URL", ""),
            prices=_setting(settings, "MODEL_PRICES", {}),
        )

    @property
    def is_openai(self) -> bool:
        """Does the address belong to OpenAI itself?"""
        return not self.base_url or self.base_url.rstrip("/") == OPENAI_ADDRESS


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


def _setting(settings: Any, name: str, default: Any) -> Any:
    return getattr(settings, name, default) or default
