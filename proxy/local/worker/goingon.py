"""What llama-server needs, so that its answers can be gone on with: the ids of their tokens, and a way in behind them.

Its chat endpoint tells no ids and takes none. But each token's probability after sampling comes with its id and costs
nothing (seen with xllamacpp 2026.10: the same tokens at the same speed), and the completions endpoint takes a prompt
that is made of text and of ids.
"""

from __future__ import annotations

import http.client
import socket
from typing import Any

import orjson

from proxy.local.worker.request import Refused
from proxy.local.worker.shapes import event, with_tokens

TELL = {"logprobs": True, "top_logprobs": 1, "post_sampling_probs": True, "timings_per_token": True}
"""Parameters with which each chunk tells its token's id, and how many tokens there were so far."""
_TIMEOUT = 10.0
"""Seconds for filling in a template."""
_OF_CHAT = frozenset(
    {"messages", "continue_tokens", "tools", "tool_choice", "max_completion_tokens", "return_tokens", "model", "n"}
)


class Told:
    """Makes events of chunks that were asked for with `TELL`: each with the ids of its tokens, as long as none is
    missing. (Of several tokens that make up one character only the last one is told.)"""

    def __init__(self, *, as_chat: bool = False) -> None:
        """`as_chat`: they are chunks of a text completion."""
        self._as_chat = as_chat
        self._count = 0

    def event(self, raw: bytes) -> bytes:
        """The event for one chunk."""
        chunk = orjson.loads(raw)
        ids: list[int] = []
        for choice in chunk["choices"]:
            probs = choice.pop("logprobs", None)
            ids += [entry["id"] for entry in (probs or {}).get("content") or ()]
            if self._as_chat:
                text = choice.pop("text", "")
                choice["delta"] = {"content": text} if text else {}
        if self._as_chat:
            chunk["object"] = "chat.completion.chunk"
        made = chunk.pop("timings", {}).get("predicted_n") if chunk["choices"] else None
        self._count += len(ids)
        whole = bool(ids) and self._count == made
        return event(orjson.dumps(with_tokens(chunk, ids) if whole else chunk))


def behind(body: dict[str, Any], prompt: str, said: tuple[int, ...]) -> dict[str, Any]:
    """The text completion that goes on with a chat's answer behind these tokens of it."""
    asked = {name: value for name, value in body.items() if name not in _OF_CHAT}
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None:
        asked["max_tokens"] = limit
    usage = {"stream_options": {"include_usage": True}}
    return {**asked, "prompt": [prompt, *said], "stream": True, "return_progress": True, **usage, **TELL}


def templated(path: str, body: dict[str, Any]) -> str:
    """The chat by the model's template, as llama-server fills it in. `path`: its own socket. Raises `Refused`."""
    names = ("messages", "tools", "tool_choice", "chat_template_kwargs")
    asked = orjson.dumps({name: body[name] for name in names if name in body})
    connection = _Unix(path)
    try:
        connection.request("POST", "/apply-template", asked, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = orjson.loads(response.read())
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        raise Refused(500, "server_error", "the chat's template could not be filled in") from error
    finally:
        connection.close()
    if response.status != 200:
        raise Refused(400, "invalid_request_error", "the model's chat template refuses the messages")
    prompt: str = answer["prompt"]
    return prompt


class _Unix(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("local", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
