"""Simon Willison's `llm`, configured by an extra-openai-models.yaml in LLM_USER_PATH, as its documentation says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from told import FUNCTIONS, KEY, PNG, PROVIDERS, URL, tell

HOME = Path(os.environ["LLM_USER_PATH"])
SCENES = ("text", "tools", "json", "image", "refused", "cut")
MODEL = """\
- model_id: {name}
  model_name: {name}
  api_base: {url}/v1
  api_key_name: wayline
  supports_tools: true
  supports_schema: true
  vision: true
"""
(HOME / "extra-openai-models.yaml").write_text(
    "".join(MODEL.format(name=f"{p}-{scene}", url=URL) for p in PROVIDERS for scene in SCENES)
)
(HOME / "keys.json").write_text(f'{{"wayline": "{KEY}"}}')

import llm  # noqa: E402 - reads the folder when it is imported

SCHEMA = {
    "type": "object",
    "properties": {"joke": {"type": "string"}, "rating": {"type": "integer"}},
    "required": ["joke", "rating"],
    "additionalProperties": False,
}


def ask(name: str, **more: Any) -> Any:
    return llm.get_model(name).prompt("Hi", **more)


def text(provider: str) -> Any:
    answer = ask(f"{provider}-text", stream=False)
    usage = answer.usage()
    return {"text": answer.text(), "usage": [usage.input, usage.output]}


def chain(provider: str, stream: bool) -> Any:
    made: list[Any] = []
    found = llm.get_model(f"{provider}-tools").chain(
        "Weather?",
        tools=list(FUNCTIONS.values()),
        stream=stream,
        before_call=lambda tool, call: made.append([call.name, call.arguments]),
    )
    responses = list(found.responses())
    return {"calls": made, "text": responses[-1].text()}


tell(
    {
        "text": text,
        "stream": lambda p: {"text": "".join(ask(f"{p}-text"))},
        "tools": lambda p: chain(p, False),
        "tools streamed": lambda p: chain(p, True),
        "json": lambda p: {"text": ask(f"{p}-json", stream=False, schema=SCHEMA).text()},
        "image": lambda p: {
            "text": ask(f"{p}-image", stream=False, attachments=[llm.Attachment(content=PNG, type="image/png")]).text()
        },
        "refused": lambda p: {"text": ask(f"{p}-refused", stream=False).text()},
        "cut": lambda p: {"text": "".join(ask(f"{p}-cut"))},
    }
)
