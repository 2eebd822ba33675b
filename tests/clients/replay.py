"""An upstream that speaks as four providers do: it takes only what the provider describes, and answers as recorded.

What is to be played stands at the end of the model's name: `gemini-2.5-flash-tools`. A request that is not in order is
answered by 400, and noted in `wrong`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from tests.clients.pairing import unpaired
from tests.clients.recordings import FIXTURES, REFUSED, SCENES, TEXT
from tests.upstream import Request
from tests.upstream_answers import SSE_HEADERS, dumps, plain, raw_stream
from tests.upstream_steps import Behaviour, Close

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, which the scene `image` must hold."""
RESULT = "sun in "
"""What every tool's result begins with."""
NDJSON = {**SSE_HEADERS, "content-type": "application/x-ndjson"}
GEMINI = re.compile(r"/v1beta/models/([^:]+):(generateContent|streamGenerateContent\?alt=sse)$")


def _validator(file: Path, name: str) -> Draft202012Validator:
    return Draft202012Validator({**orjson.loads(file.read_bytes()), "$ref": f"#/components/schemas/{name}"})


BODIES = {
    "openai": _validator(Path(__file__).parent / "openai-request-schema.json", "CreateChatCompletionRequest"),
    "anthropic": _validator(FIXTURES / "anthropic-schema.json", "CreateMessageParams"),
    "gemini": _validator(FIXTURES / "gemini-schema.json", "GenerateContentRequest"),
    "ollama": _validator(FIXTURES / "ollama-schema.json", "ChatRequest"),
}


def told(path: str, body: Any) -> tuple[str, str, bool]:
    """Provider, model and whether it is to be streamed."""
    if found := GEMINI.search(path):
        return "gemini", found[1], found[2].startswith("stream")
    provider = {"/v1/messages": "anthropic", "/v1/chat/completions": "openai", "/api/chat": "ollama"}[path]
    return provider, body["model"], bool(body.get("stream", provider == "ollama"))


def results(provider: str, body: Any) -> list[str]:
    """What the last turn of the conversation holds of tools' results, as JSON texts."""
    if provider == "gemini":
        return [dumps(p).decode() for p in body["contents"][-1]["parts"] if "functionResponse" in p]
    last = body["messages"][-1]
    if provider == "anthropic":
        blocks = last["content"] if isinstance(last["content"], list) else []
        return [dumps(block).decode() for block in blocks if block["type"] == "tool_result"]
    return [dumps(last["content"]).decode()] if last["role"] == "tool" else []


class Replay:
    """The script of the upstream."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        """What was not in order with requests, since `anew`."""

    def __call__(self, request: Request, n: int) -> Behaviour:
        body = request.json
        provider, model, stream = told(request.path, body)
        kind = model.rpartition("-")[2]
        trouble = [f"{e.json_path}: {e.message[:300]}" for e in BODIES[provider].iter_errors(body)]
        trouble = trouble or unpaired(provider, body)
        given = results(provider, body)
        trouble += [f"{kind}: another result: {text}" for text in given if RESULT not in text]
        if kind == "image" and PIXEL.encode() not in request.body:
            trouble.append("image: there is none")
        if kind == "json" and b'"rating"' not in request.body and b'\\"rating\\"' not in request.body:
            trouble.append("json: its schema is missing")
        if kind == "tools" and not all(name in request.body for name in (b'"get_time"', b'"timezone"')):
            trouble.append("tools: they are missing")
        if trouble:
            self.wrong += [f"{provider} {model}: {one}" for one in trouble]
            return plain(dumps({"error": {"message": "; ".join(trouble)}}), 400)
        return play(provider, "text" if given and kind == "tools" else kind, stream)


def play(provider: str, kind: str, stream: bool) -> Behaviour:
    """The recorded answer."""
    if kind == "refused":
        return plain(REFUSED[provider].body, 400)
    if kind == "limited":
        return plain(b'{"error":{"message":"slow down"}}', 429, headers={"retry-after": "7"})
    scene = SCENES.get(kind, TEXT)[provider]
    exchange = scene.stream if stream else scene.whole
    if not stream:
        return plain(exchange.body)
    body = exchange.body if kind != "cut" else exchange.body[: int(len(exchange.body) * 0.6)]
    pieces = [body[at : at + 200] for at in range(0, len(body), 200)]
    answer = raw_stream(*pieces, end=kind != "cut", headers=NDJSON if provider == "ollama" else SSE_HEADERS)
    return answer.then(Close()) if kind == "cut" else answer
