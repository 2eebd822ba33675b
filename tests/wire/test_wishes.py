"""A request says whose it is and what it wants in two headers and one member of its body, which goes no further."""

from __future__ import annotations

import orjson
import pytest

from proxy.core.chat import ChatRequest
from proxy.core.choice.wish import Wish
from proxy.wire.errors import Refusal
from proxy.wire.wishes import wish_in, with_wish


def test_the_agent_of_the_header_counts_before_the_one_of_the_body() -> None:
    assert wish_in({b"x-wayline-agent": b"scout"}, None) == Wish(agent="scout")
    both = wish_in({b"x-wayline-agent": b"scout"}, {"agent": "other", "tags": ["a"]})
    assert both == Wish(agent="scout", tags=frozenset("a"))
    assert wish_in({b"x-wayline-prefer": b"agent=other"}, None) == Wish(agent="other")
    assert wish_in({b"x-wayline-agent": b""}, None) is None


def test_names_are_the_same_whether_they_stand_in_a_header_or_in_the_body() -> None:
    for name in ("Ünï", "搜索", "naïve"):
        in_header = wish_in({b"x-wayline-agent": name.encode(), b"x-wayline-prefer": f"tags={name}".encode()}, None)
        assert in_header == wish_in({}, {"agent": name, "tags": [name]})
    assert wish_in({b"x-wayline-agent": "é".encode("latin-1")}, None) == Wish(agent="é")


@pytest.mark.parametrize("name", [b"a" * 65, b"a\tb", b"\x7f", "\x85".encode(), b"\x85"])
def test_a_name_that_is_too_long_or_not_printable_is_refused(name: bytes) -> None:
    refused = wish_in({b"x-wayline-agent": name}, None)
    assert isinstance(refused, Refusal)
    assert refused.status == 400
    told = orjson.loads(refused.body)["error"]
    assert (told["code"], told["param"]) == ("invalid_preference", "x-wayline-agent")
    assert "1 to 64 printable characters" in told["message"]


def test_the_member_is_not_sent_on() -> None:
    body = {"model": "chat", "messages": [], "wayline": {"tags": ["nightly"]}}
    request = with_wish(ChatRequest(orjson.dumps(body), body, "chat", False, False), {}, frozenset())
    assert isinstance(request, ChatRequest)
    assert request.wish == Wish(tags=frozenset({"nightly"}))
    assert b"wayline" not in request.raw and "wayline" not in request.body
