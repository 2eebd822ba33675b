"""What every dialect must be able to show, whoever wrote it. Each check raises `AssertionError` with a sentence."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import orjson

from proxy.core.call import HttpCall
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest, End, Event, Kind
from proxy.core.dialect import Decoder, Dialect, Malformed, Prepared
from proxy.core.failure import Failure
from proxy.core.usage import Special, Usage
from proxy.testing.exchange import Exchange
from proxy.testing.reference import Told, told_by_answer, told_by_stream

ROUTE = "a-route"
"""The name by which the pretended client asks."""


def expect(holds: object, sentence: str) -> None:
    """Raises `AssertionError` with the sentence unless it holds."""
    if not holds:
        raise AssertionError(sentence)


def chat_request(exchange: Exchange, *, wants_usage: bool) -> ChatRequest:
    """The client's request behind an exchange, which asks for a route and may not have asked for usage."""
    body = {**exchange.asked, "model": ROUTE}
    options = body.get("stream_options")
    if isinstance(options, dict):
        body["stream_options"] = {**options, "include_usage": True}
    if not wants_usage:
        body.pop("stream_options", None)
    return ChatRequest(orjson.dumps(body), body, ROUTE, bool(body.get("stream")), wants_usage)


def embed_request(exchange: Exchange) -> EmbedRequest:
    """The client's request behind an embeddings exchange."""
    body = {**exchange.asked, "model": ROUTE}
    return EmbedRequest(orjson.dumps(body), body, ROUTE, body.get("encoding_format") == "base64")


def prepared(found: Prepared | Failure) -> Prepared:
    """What a dialect gives to be sent; an `AssertionError` where it does not send it."""
    if isinstance(found, Failure):
        raise AssertionError(f"it is not sent: {found!r}")
    return found


def run(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[object, ...]:
    """All that a decoder says of these pieces; `("malformed",)` when it gives them up."""
    events: list[Event] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        end: object = decoder.close()
    except Malformed:  # the events before it in the same piece are lost with it
        return ("malformed",)
    return (events, end, decoder.usage, decoder.chars, decoder.model, decoder.finished, decoder.filtered, decoder.empty)


def check_call(dialect: Dialect, exchange: Exchange, *, asks_usage: bool = True) -> None:
    """What would be sent is what the provider accepted. `asks_usage`: on a stream usage is asked for besides, in
    OpenAI's way."""
    if exchange.endpoint == "embeddings":
        _same_call(prepared(dialect.embed(embed_request(exchange))).call, exchange, exchange.sent)
        return
    sent = dict(exchange.sent)
    if exchange.streaming and asks_usage:
        sent["stream_options"] = {**(sent.get("stream_options") or {}), "include_usage": True}
    asked_itself = isinstance(exchange.asked.get("stream_options"), dict)
    for wants_usage in {False, asked_itself}:
        asked = prepared(dialect.chat(chat_request(exchange, wants_usage=wants_usage)))
        _same_call(asked.call, exchange, sent)
        expect(not asked.dropped, f"{exchange.id}: nothing that the provider accepts is dropped")


def _same_call(call: HttpCall, exchange: Exchange, sent: Any) -> None:
    line, *lines = call.head.decode("latin-1").split("\r\n")
    url = urlsplit(exchange.url)
    path = url.path + (f"?{url.query}" if url.query else "")
    expect(line == f"POST {path} HTTP/1.1", f"{exchange.id}: {line!r} is not where the provider was called")
    expect(lines[-1] == "" and all(": " in field for field in lines[:-1]), f"{exchange.id}: the head is in order")
    expect(orjson.loads(call.body) == sent, f"{exchange.id}: the body is not what the provider accepted")
    expect(not call.repeatable, f"{exchange.id}: a POST is not to be repeated")


def check_answer(dialect: Dialect, exchange: Exchange) -> None:
    """A whole answer: content, tools, reasoning, finish reasons and usage are found, and handed on."""
    got = dialect.completion(exchange.body)
    if not isinstance(got, Completion):
        raise AssertionError(f"{exchange.id}: read as {got!r}")
    told = told_by_answer(got.raw)
    _same_choices(exchange, told)
    _same_usage(exchange, got.usage)
    expect(got.model == exchange.golden["model"], f"{exchange.id}: the model is {got.model!r}")
    expect(not got.empty and not got.filtered, f"{exchange.id}: an answer is no empty answer")
    expect(got.chars == _chars(told), f"{exchange.id}: {got.chars} characters were counted")
    renamed = dialect.completion(exchange.body, model=ROUTE)
    if not isinstance(renamed, Completion):
        raise AssertionError(f"{exchange.id}: read as {renamed!r} when the model is renamed")
    expected = {**orjson.loads(got.raw), "model": ROUTE}
    expect(orjson.loads(renamed.raw) == expected, f"{exchange.id}: only the name changes when the model is renamed")


def check_embedding(dialect: Dialect, exchange: Exchange) -> None:
    """Embeddings come as asked for, base64 or numbers, and both say the same."""
    plain = dialect.embedding(exchange.body, base64=False)
    packed = dialect.embedding(exchange.body, base64=True)
    if not (isinstance(plain, Embedding) and isinstance(packed, Embedding)):
        raise AssertionError(f"{exchange.id}: read as {plain!r}, {packed!r}")
    _same_usage(exchange, plain.usage)
    expect(plain.model == packed.model == exchange.golden["model"], f"{exchange.id}: the model is {plain.model!r}")
    rows = orjson.loads(plain.raw)["data"]
    expect(len(rows) == exchange.golden["vectors"], f"{exchange.id}: {len(rows)} vectors")
    texts = orjson.loads(packed.raw)["data"]
    expect(all(isinstance(row["embedding"], list) for row in rows), f"{exchange.id}: numbers were asked for")
    expect(all(isinstance(row["embedding"], str) for row in texts), f"{exchange.id}: base64 was asked for")
    for row, other in zip(rows, texts, strict=True):
        data = base64.b64decode(other["embedding"])
        floats = struct.unpack(f"<{len(data) // 4}f", data)
        near = all(abs(a - b) <= 1e-6 for a, b in zip(row["embedding"], floats, strict=True))
        expect(near and row["index"] == other["index"], f"{exchange.id}: base64 and numbers say the same, in order")


def check_failure(dialect: Dialect, exchange: Exchange) -> None:
    """An error lands on the right row of the verdict table, with the waiting time that was named."""
    got = dialect.failure(exchange.status, exchange.headers, exchange.body)
    expect(got.kind.value == exchange.golden["failure"], f"{exchange.id}: read as {got!r}")
    expect(got.retry_after == exchange.golden["wait"], f"{exchange.id}: the wait is {got.retry_after}")
    expect(got.status == exchange.status and got.message, f"{exchange.id}: {got!r} lacks its status or a message")


def check_stream(dialect: Dialect, exchange: Exchange, *, wants_usage: bool) -> list[Event]:
    """A stream: what is handed on tells all that the provider told, and what is noted of it is right."""
    decoder = dialect.decoder(wants_usage=wants_usage)
    events = decoder.feed(exchange.body)
    end = decoder.close()
    told = told_by_stream(b"".join(event.raw for event in events))
    _same_choices(exchange, told)
    _same_usage(exchange, decoder.usage)
    expect(decoder.model == exchange.golden["model"], f"{exchange.id}: the model is {decoder.model!r}")
    expect(decoder.chars == _chars(told), f"{exchange.id}: {decoder.chars} characters were counted")
    expect(decoder.choices_seen == len(told.choices), f"{exchange.id}: {decoder.choices_seen} choices were seen")
    text = "".join(event.text for event in events)
    if len(told.choices) == 1:
        expect(text == told.choices[0].content, f"{exchange.id}: the events' text is the content")
    failed = "error" in exchange.golden
    expect(end is (End.ERRORED if failed else End.COMPLETE), f"{exchange.id}: it ended {end.name}")
    expect((events[-1].kind is Kind.ERROR) == failed, f"{exchange.id}: an error is the last event, and the only one")
    expect(failed or (decoder.finished and not decoder.empty), f"{exchange.id}: it finished, and said something")
    shown = bool(told.usages)
    expect(wants_usage or not shown, f"{exchange.id}: usage is kept from a client that did not ask")
    asked_and_had = wants_usage and exchange.golden["usage"] is not None and not failed
    expect(shown or not asked_and_had, f"{exchange.id}: usage is handed on to a client that asked")
    return events


def check_renamed(dialect: Dialect, exchange: Exchange) -> None:
    """`reply_model: route`: the name stands in every chunk, and nothing else changes."""
    plain = dialect.decoder(wants_usage=True).feed(exchange.body)
    renamed = dialect.decoder(wants_usage=True, model=ROUTE).feed(exchange.body)
    expect(len(plain) == len(renamed), f"{exchange.id}: as many events when the model is renamed")
    for one, other in zip(plain, renamed, strict=True):
        expect(one._replace(raw=b"") == other._replace(raw=b""), f"{exchange.id}: the same events")
        before, after = _chunk(one), _chunk(other)
        expect(after == ({**before, "model": ROUTE} if before else before), f"{exchange.id}: only the name changes")


def check_cuts(dialect: Dialect, body: bytes, cuts: Iterable[Sequence[int]]) -> None:
    """The same events, the same end and the same account of it, wherever the bytes are cut."""
    whole = run(dialect.decoder(wants_usage=False), [body])
    for places in cuts:
        pieces = [body[a:b] for a, b in pairwise([0, *sorted(places), len(body)])]
        expect(
            run(dialect.decoder(wants_usage=False), pieces) == whole, f"cut at {list(places)[:8]}: other events come"
        )


def check_truncation(dialect: Dialect, exchange: Exchange, cuts: Iterable[int], finished_at: int | None = None) -> None:
    """A stream that breaks off before every choice has its finish reason is truncated, never complete.

    `finished_at`: the first cut after which it is complete; by default found by reading the recording as OpenAI's.
    """
    finished_at = finish_offset(exchange) if finished_at is None else finished_at
    for cut in cuts:
        decoder = dialect.decoder(wants_usage=False)
        decoder.feed(exchange.body[:cut])
        end = decoder.close()
        early = cut < finished_at
        expect(not early or end is End.TRUNCATED, f"{exchange.id}: cut after {cut} bytes it counts as {end.name}")
        expect(early or end is not End.TRUNCATED, f"{exchange.id}: after {cut} bytes it had finished: {end.name}")


def finish_offset(exchange: Exchange) -> int:
    """The first cut after which every choice of the recording has its finish reason."""
    for blank in re.finditer(rb"\r\n\r\n|\n\n", exchange.body):
        told = told_by_stream(exchange.body[: blank.end()])
        if len(told.choices) == len(exchange.golden["choices"]) and all(one.finish for one in told.choices.values()):
            return blank.end() - blank.group().count(b"\r\n") // 2  # a CR ends the line by itself
    raise AssertionError(f"{exchange.id}: the recording does not finish")


def check_any_bytes(dialect: Dialect, data: bytes) -> None:
    """Whatever comes, nothing but `Malformed` is raised, and an error's meaning is always found."""
    for read in (_decode, _complete, _embed_numbers, _embed_base64):
        try:
            read(dialect, data)
        except Malformed:
            continue
    for status in (302, 400, 401, 404, 429, 500, 503):
        got = dialect.failure(status, [(b"retry-after", data[:64]), (b"date", data[:32])], data)
        expect(isinstance(got, Failure) and len(got.message) <= 500, "an error is read from any bytes")
        expect(got.retry_after is None or 0 <= got.retry_after <= 3600, f"a wait of {got.retry_after} s")


def check_bounded(dialect: Dialect, piece: bytes, most: int, size: int = 65536) -> None:
    """An event that never ends is given up with `Malformed` after at most `most` bytes."""
    decoder = dialect.decoder(wants_usage=False)
    decoder.feed(piece)
    fed = len(piece)
    try:
        while fed <= most + size:
            decoder.feed(b"x" * size)
            fed += size
    except Malformed:
        return
    raise AssertionError(f"{fed} bytes of one event were taken in")


def check_discreet(dialect: Dialect, secret: str, exchange: Exchange) -> None:
    """The key is in no form of anything that could be printed, not even when the provider repeats it."""
    asked = prepared(dialect.chat(chat_request(exchange, wants_usage=False)))
    expect(secret.encode() in asked.call.head, "the key is sent")
    echo = orjson.dumps(
        {"error": {"message": f"{exchange.url} does not know {secret}", "code": secret, "param": secret}}
    )
    shown: list[object] = [dialect, asked, asked.call, dialect.decoder(wants_usage=False)]
    shown += [dialect.failure(status, [], echo) for status in (400, 401, 404, 429, 500)]
    for thing in shown:
        expect(secret not in f"{thing!r} {thing!s}", f"the key is in the printed form of {type(thing).__name__}")


def _decode(dialect: Dialect, data: bytes) -> None:
    decoder = dialect.decoder(wants_usage=False, model=ROUTE)
    decoder.feed(data)
    decoder.close()


def _complete(dialect: Dialect, data: bytes) -> None:
    dialect.completion(data, model=ROUTE)


def _embed_numbers(dialect: Dialect, data: bytes) -> None:
    dialect.embedding(data, base64=False)


def _embed_base64(dialect: Dialect, data: bytes) -> None:
    dialect.embedding(data, base64=True)


def _same_choices(exchange: Exchange, told: Told) -> None:
    got = [choice.golden() for _, choice in sorted(told.choices.items())]
    expect(got == exchange.golden["choices"], f"{exchange.id}: it tells {got}, not {exchange.golden['choices']}")


def _same_usage(exchange: Exchange, usage: Usage | None) -> None:
    golden = exchange.golden["usage"]
    expected = None if golden is None else _usage(golden)
    expect(usage == expected, f"{exchange.id}: the usage is {usage}, not {expected}")


def _usage(golden: Mapping[str, Any]) -> Usage:
    """`cost` stands there as text, `special` as an object of its own."""
    cost, apart = golden.get("cost"), golden.get("special")
    known = {"cost": None if cost is None else Decimal(cost), "special": None if apart is None else Special(**apart)}
    return Usage(**{**golden, **known})


def _chars(told: Told) -> int:
    return sum(_lengths(choice.golden()) for choice in told.choices.values())


def _lengths(golden: dict[str, Any]) -> int:
    tools = sum(len(name) + arguments for name, arguments in golden["tools"])
    return int(golden["content"] + golden["reasoning"] + golden["refusal"] + tools)


def _chunk(event: Event) -> Any:
    return orjson.loads(event.raw.removeprefix(b"data: ")) if event.raw else None
