"""google-genai, Google's own SDK, straight to the upstream in the third argument: what it sends is the reference."""

from __future__ import annotations

import base64
import sys
from typing import Any

from google import genai
from google.genai import types
from told import PNG, tell
from told_tools import ARGUMENTS

CLIENT = genai.Client(
    api_key="key-of-gemini", http_options=types.HttpOptions(base_url=sys.argv[3], api_version="v1beta")
)
SIGNATURE = base64.b64decode("c2lnbmF0dXJlLW9mLWEtdGhvdWdodA==")


def schema(argument: str) -> types.Schema:
    """In Google's own words."""
    one = types.Schema(type=types.Type.STRING)
    return types.Schema(type=types.Type.OBJECT, properties={argument: one}, required=[argument])


TOOLS: Any = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name=name, description="Tells.", parameters=schema(ARGUMENTS[name]))
            for name in ("weather", "get_time")
        ]
    )
]
HISTORY: Any = [
    types.Content(role="user", parts=[types.Part(text="Weather?")]),
    types.Content(
        role="model",
        parts=[
            types.Part(text="I look."),
            types.Part(
                function_call=types.FunctionCall(name="weather", args={"location": "Rome"}), thought_signature=SIGNATURE
            ),
        ],
    ),
    types.Content(
        role="user",
        parts=[
            types.Part(function_response=types.FunctionResponse(name="weather", response={"result": "sun in Rome"}))
        ],
    ),
]
SCHEMA = {
    "type": "object",
    "properties": {"joke": {"type": "string"}, "rating": {"type": "integer"}},
    "required": ["joke", "rating"],
}


def ask(scene: str, contents: Any, **config: Any) -> Any:
    made = types.GenerateContentConfig(**config) if config else None
    answer = CLIENT.models.generate_content(model=f"gemini-2.5-flash-{scene}", contents=contents, config=made)
    return {"text": answer.text}


def stream() -> Any:
    pieces = CLIENT.models.generate_content_stream(model="gemini-2.5-flash-text", contents="Hi")
    return {"text": "".join(piece.text or "" for piece in pieces)}


tell(
    {
        "plain": lambda p: ask(
            "text",
            "Hi",
            system_instruction="Be brief.",
            temperature=0.5,
            top_p=0.9,
            max_output_tokens=100,
            stop_sequences=["END"],
            seed=7,
            presence_penalty=0.5,
            frequency_penalty=0.25,
        ),
        "stream": lambda p: stream(),
        "tools": lambda p: ask(
            "tools",
            HISTORY,
            tools=TOOLS,
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(
                    mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["weather"]
                )
            ),
        ),
        "image": lambda p: ask(
            "image",
            [
                types.Content(
                    role="user", parts=[types.Part(text="?"), types.Part.from_bytes(data=PNG, mime_type="image/png")]
                )
            ],
        ),
        "json": lambda p: ask("json", "A joke", response_mime_type="application/json", response_json_schema=SCHEMA),
        "thinking": lambda p: ask(
            "text", "Hi", thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        ),
    },
    ("gemini",),
)
