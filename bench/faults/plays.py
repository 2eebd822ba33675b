"""The ways of saying a right answer wrongly, as streams."""

from __future__ import annotations

import json
from collections.abc import Callable

from bench.faults.profile import Profile
from bench.faults.story import Count, pieces
from bench.faults.voice import Voice, usage_of
from tests.upstream_answers import DONE, chunk, dumps, raw_stream, role, sse
from tests.upstream_steps import Behaviour, Close, Hang, Pause, Send, Tokens

Saying = Callable[[Profile, Voice, str, Count], Behaviour]
ROCKET = "\U0001f680"
"""In JSON's escapes a pair of surrogates."""


def halves(text: str) -> tuple[str, str]:
    """The text in two parts."""
    at = len(text) // 2
    return text[:at], text[at:]


def late(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """The role at once, the first word after long."""
    return raw_stream(voice.role(), Pause(profile.late), *voice.words(text), *voice.ending(count))


def stalling(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """Stops in the middle for long."""
    before, rest = halves(text)
    words = [*voice.words(before), Pause(profile.stall), *voice.words(rest)]
    return raw_stream(voice.role(), *words, *voice.ending(count))


def garbled_word(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """One word's event is half a JSON document; then it goes on as if nothing were."""
    before, rest = halves(text)
    lost, *_ = pieces(rest)
    garbled = sse(voice.word(lost).removeprefix(b"data: ")[:-12])
    words = [*voice.words(before), garbled, *voice.words(rest[len(lost) :])]
    return raw_stream(voice.role(), *words, *voice.ending(count))


def garbage_between(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """An event that is no JSON between two words."""
    before, rest = halves(text)
    words = [*voice.words(before), sse(b'{"id": "x", "choices": [{"del'), *voice.words(rest)]
    return raw_stream(voice.role(), *words, *voice.ending(count))


def bad_framing(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """A chunk size that is no number (RFC 9112 section 7.1)."""
    before, rest = halves(text)
    broken = b"zz\r\n" + chunk(voice.word(rest))
    return raw_stream(voice.role(), *voice.words(before), end=False).then(Send(broken), Close())


def without_done(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """All but the `[DONE]`."""
    return raw_stream(voice.role(), *voice.words(text), *voice.ending(count)[:-1])


def never_closed(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """All but the `[DONE]`, and the connection stays open."""
    return raw_stream(voice.role(), *voice.words(text), *voice.ending(count)[:-1], end=False).then(Hang())


def usage_everywhere(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """The usage so far on every chunk; the last one counts."""
    said = pieces(text)
    words = [voice.chunk({"content": piece}, usage=Count(count.input, i + 1)) for i, piece in enumerate(said)]
    return raw_stream(voice.role(), *words, voice.chunk({}, "stop", count), Tokens(*count), DONE)


def usage_with_finish(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """The usage in the chunk that has the finish_reason, with choices."""
    return raw_stream(voice.role(), *voice.words(text), voice.chunk({}, "stop", count), Tokens(*count), DONE)


def usage_before_finish(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """The usage chunk before the finish_reason."""
    usage = voice.chunk(None, usage=count)
    return raw_stream(voice.role(), *voice.words(text), usage, Tokens(*count), voice.last(), DONE)


def usage_with_empty_choice(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """After the finish_reason, on a chunk that has a choice with an empty delta (OpenRouter's way)."""
    usage = voice.chunk({"content": ""}, usage=count)
    return raw_stream(voice.role(), *voice.words(text), voice.last(), usage, Tokens(*count), DONE)


def empty_answer(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """Role, finish_reason, usage, and not a word."""
    return raw_stream(voice.role(), *voice.ending(Count(count.input, 0)))


def blank_answer(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """White space, and the end."""
    return raw_stream(voice.role(), voice.word(" "), voice.word("\n"), *voice.ending(Count(count.input, 2)))


def blank_and_cut(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """White space, and then the connection closes."""
    return voice.cut([voice.role(), voice.word(" "), voice.word("\n")], b"", "close")


def role_then_error(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """The role, and then an error under 200."""
    return raw_stream(role(), sse({"error": {"message": "it broke", "type": "server_error"}}))


def error_in_middle(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """Half the words, and then an error under 200."""
    failed = sse({"error": {"message": "it broke", "type": "server_error"}})
    return raw_stream(voice.role(), *voice.words(halves(text)[0]), failed, DONE)


def no_stream(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """The whole answer as JSON, where a stream was asked."""
    return voice.whole(text, count)


def in_bytes_of(char: str) -> Saying:
    """Cut between two bytes of a character, inside its event."""

    def say(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
        at = text.index(char)
        event = voice.word(text[at : at + 4])
        middle = event.index(char.encode()) + 1
        return voice.cut([voice.role(), *voice.words(text[:at])], event, "in_event", after=middle)

    return say


def _escaped(voice: Voice, text: str) -> bytes:
    """A word's event in JSON's escapes, as JavaScript servers write it; half a character is possible there."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    value = {"id": voice.id_, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": voice.model}
    return sse(json.dumps({**value, "choices": [choice]}, ensure_ascii=True).encode())


def in_escape(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """Cut between the two escapes of one character, inside its event."""
    at = text.index(ROCKET)
    event = _escaped(voice, ROCKET)
    middle = event.index(b"\\ude80")
    return voice.cut([voice.role(), *voice.words(text[:at])], event, "in_event", after=middle)


def after_half_escape(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """Cut after an event that holds the first half of a character."""
    at = text.index(ROCKET)
    said = [voice.role(), *voice.words(text[:at]), _escaped(voice, "\ud83d")]
    return voice.cut(said, b"", "close")


def split_escape(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """Not cut: one character's halves in two events."""
    at = text.index(ROCKET)
    halved = [_escaped(voice, "\ud83d"), _escaped(voice, "\ude80")]
    words = [*voice.words(text[:at]), *halved, *voice.words(text[at + 1 :])]
    return raw_stream(voice.role(), *words, *voice.ending(count))


def x_groq(profile: Profile, voice: Voice, text: str, count: Count) -> Behaviour:
    """Usage under `x_groq` in the last chunk, and nowhere else (Groq's older way)."""
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    value = {"id": voice.id_, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": voice.model}
    end = dumps({**value, "choices": [choice], "x_groq": {"id": "req_1", "usage": usage_of(count)}})
    return raw_stream(voice.role(), *voice.words(text), sse(end), Tokens(*count), DONE)
