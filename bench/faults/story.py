"""The known answers, the questions they belong to, and what they count as tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

LONG = 1000
"""Stories from this number on are long."""
PER_MESSAGE = 4
"""Tokens of role and separators, as in ChatML."""
TASTE = (
    "You are the night porter of a small hotel by the sea, and you tell stories to those who cannot sleep. "
    "Tell each of them in one go, without headings and lists, in the past tense, and never break off before its end. "
    "Use the names that you were given, do not explain the ending, and do not mention that you are telling a story."
)
"""The system message: a prompt has some length."""
TOOL = "play_the_story"
_QUESTION = re.compile(r"Tell me story (\d+)\.")
_SENTENCES = (
    "The ferry left the harbour of Wismar at a quarter past {a}, with {b} crates of pears on its deck.",
    "Nobody had told the captain that the lighthouse keeper's daughter was hidden between them.",
    'She had written "{b} × {a}" on a scrap of paper, a naïve cipher, and a café\'s address: 東京都港区芝公園.',
    "By noon the wind had turned; the {a} gulls that followed them fell silent, one after the other.",
    "The crew 👩\u200d🚀 took bets on the weather, 🚀 drew a rocket in the log, and forgot the time.",
    "夜明けまでに彼らは港へ戻り、灯台守の娘は歌いながら梯子を登り、船長は{b}個の梨を数えた。",
    "At dusk, {b} miles from the coast, the engine stopped, and in the stillness somebody laughed.",
)
_PIECE = re.compile(r"\s?[!-~]{1,4}|\s?[^\x00-\x7f]|\s", re.DOTALL)


class Count(NamedTuple):
    """Tokens as an upstream counts them."""

    input: int
    output: int


def story(n: int) -> str:
    """The answer to question `n`: no two of them begin alike."""
    text = " ".join(sentence.format(a=n % 97 + 3, b=n * 7 + 11) for sentence in _SENTENCES)
    opening = f"Chapter {n * 13 + 5}: "
    if n < LONG:
        return opening + text
    return opening + " ".join(f"({i}) {text}" for i in range(20))


def german(n: int) -> str:
    """The same told by somebody who answers in another language."""
    return f"Kapitel {n * 13 + 5}: Die Fähre verließ den Hafen von Wismar, und niemand hatte dem Kapitän davon erzählt."


def arguments(n: int) -> str:
    """The arguments of the one tool call that answers question `n` where a tool was offered."""
    crew = ["Åsa", "Bo", "Chidi"]
    return json.dumps({"title": f"Chapter {n * 13 + 5}", "crew": crew, "text": story(n)}, ensure_ascii=False)


def question(n: int) -> str:
    """As a user puts it."""
    return f"Tell me story {n}."


def asked(body: Mapping[str, Any]) -> int:
    """The number of the story that a request is about. Raises ValueError."""
    found = _QUESTION.search(everything_said(body))
    if found is None:
        raise ValueError("the gateway's request holds no question")
    return int(found[1])


def words_of(message: Mapping[str, Any]) -> str:
    """The text of one message; its content may be a list of parts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def everything_said(body: Mapping[str, Any]) -> str:
    """The text of all messages."""
    return "\n".join(words_of(message) for message in body["messages"])


def pieces(text: str) -> list[str]:
    """The text as an upstream's tokens: about four characters, as English has in most tokenizers; beyond ASCII one."""
    return _PIECE.findall(text)


def counted(texts: Iterable[str]) -> int:
    """How many tokens those are."""
    return sum(len(pieces(text)) for text in texts)


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Input tokens of a request, as its upstream reports them: with what the chat format adds to each message."""
    return counted(words_of(message) for message in body["messages"]) + PER_MESSAGE * len(body["messages"])
