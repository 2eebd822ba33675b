"""The types of backends that a configuration may name. A new provider is one row."""

from __future__ import annotations

from proxy.config.backend_type import LOCAL
from proxy.config.backend_type import BackendType as BackendType
from proxy.config.extensions import extension
from proxy.config.providers import PROVIDERS


class Types(dict[str, BackendType]):
    """Wayline's own types by name. What another package brings is found by its name, and stands in no list of them."""

    def __missing__(self, name: str) -> BackendType:
        found = extension(name)
        if found is None:
            raise KeyError(name)
        return found.kind


BACKEND_TYPES = Types(
    (row.name, row)
    for row in (
        BackendType(
            "openai",
            "OpenAI, or any server that speaks its API (set `base_url`)",
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
        ),
        BackendType(
            "azure",
            "Azure OpenAI, by deployments or by models",
            None,
            "AZURE_OPENAI_API_KEY",
            address="The resource's address, such as https://NAME.openai.azure.com.",
        ),
        BackendType("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        BackendType(
            "ollama",
            "Ollama, by its own API",
            "http://127.0.0.1:11434",
            address="Its address; a `/v1` or `/api` at the end is passed over.",
            free=True,
            timeouts=LOCAL,
        ),
        BackendType(
            "lmstudio",
            "LM Studio, whose models are loaded at the first request for them",
            "http://127.0.0.1:1234/v1",
            free=True,
            timeouts=LOCAL,
        ),
        BackendType(
            "anthropic",
            "Anthropic, or any server that speaks its Messages API (set `base_url`)",
            "https://api.anthropic.com",
            "ANTHROPIC_API_KEY",
            address="Address without or with /v1.",
        ),
        BackendType(
            "gemini",
            "Google's Gemini API",
            "https://generativelanguage.googleapis.com/v1beta",
            "GEMINI_API_KEY",
            address="Address up to and with the version.",
        ),
        BackendType(
            "vertex",
            "Gemini and Claude on Google Cloud (Vertex AI)",
            "",
            address="Address up to and with the version. Without it that of the location.",
            priced_at="https://aiplatform.googleapis.com",
        ),
        BackendType(
            "bedrock",
            "Amazon Bedrock, every maker's models (Converse)",
            "",
            address="Address of a VPC endpoint. Without it the region's own.",
            priced_at="https://bedrock-runtime.us-east-1.amazonaws.com",
        ),
        BackendType("llamacpp", "llama.cpp models that Wayline runs itself", "", ours=True, free=True, timeouts=LOCAL),
        *PROVIDERS,
    )
)
