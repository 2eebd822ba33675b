"""The providers that speak OpenAI's API, as the configuration knows them. How they differ: backends/providers.py."""

from __future__ import annotations

from proxy.config.backend_type import LOCAL, BackendType

CLOUD = (
    BackendType("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    BackendType("mistral", "Mistral AI", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    BackendType("deepseek", "DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    BackendType("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY"),
    BackendType("together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    BackendType("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    BackendType("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    BackendType("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    BackendType(
        "cohere",
        "Cohere, by its Compatibility API",
        "https://api.cohere.ai/compatibility/v1",
        "COHERE_API_KEY",
    ),
    BackendType("huggingface", "Hugging Face Inference Providers", "https://router.huggingface.co/v1", "HF_TOKEN"),
    BackendType("nvidia", "NVIDIA's API catalog", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    BackendType("moonshot", "Moonshot AI (Kimi)", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    BackendType(
        "dashscope",
        "Alibaba Cloud Model Studio (Qwen)",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
    ),
    BackendType("zai", "Z.ai (GLM)", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
    BackendType("sambanova", "SambaNova Cloud", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    BackendType("github-models", "GitHub Models", "https://models.github.ai/inference", "GITHUB_TOKEN"),
    BackendType(
        "databricks",
        "Databricks model serving",
        None,
        "DATABRICKS_TOKEN",
        address="The workspace's address with /serving-endpoints.",
    ),
    BackendType(
        "cloudflare",
        "Cloudflare Workers AI",
        None,
        "CLOUDFLARE_API_TOKEN",
        address="https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1.",
    ),
    BackendType("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    BackendType("novita", "Novita AI", "https://api.novita.ai/openai/v1", "NOVITA_API_KEY"),
    BackendType("hyperbolic", "Hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    BackendType("nebius", "Nebius Token Factory", "https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY"),
)


def _own(name: str, doc: str, port: int) -> BackendType:
    """A server on one's own machine: no key, no price, and time to load."""
    return BackendType(name, doc, f"http://127.0.0.1:{port}/v1", free=True, timeouts=LOCAL)


OWN = (
    _own("llama-server", "llama.cpp's server, run by you", 8080),
    _own("vllm", "vLLM", 8000),
    _own("sglang", "SGLang", 30000),
    _own("tgi", "Hugging Face Text Generation Inference", 8080),
    _own("llamafile", "llamafile", 8080),
    _own("localai", "LocalAI", 8080),
    _own("jan", "Jan", 1337),
)

PROVIDERS = (*CLOUD, *OWN)
