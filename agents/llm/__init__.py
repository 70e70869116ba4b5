"""Access to models: the offline one, and every address that speaks the OpenAI protocol."""

from agents.llm.config import ModelConfig
from agents.llm.port import ModelAccess

__all__ = ["ModelAccess", "ModelConfig"]
