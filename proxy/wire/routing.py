"""Who answers a request: a hot endpoint, the app, or a refusal."""

from __future__ import annotations

from proxy.wire.cors import CorsPolicy
from proxy.wire.door import Door, HotPath
from proxy.wire.errors import Refusal
from proxy.wire.head import content_flaw, form_flaw, method_not_allowed, path_of, too_large
from proxy.wire.turn import Turn


def direct(turn: Turn, door: Door) -> Refusal | None:
    """Sets the turn's endpoint (none: the app answers); a refusal when that would not look at such a request.

    A hot path is matched by its raw bytes: what is percent-encoded or not quite it goes to the app, which says 404.
    """
    hot = door.hot.get(turn.target) or door.hot.get(path_of(turn.target))
    if door.cors is not None and _preflight(turn, hot, door.cors):
        return None
    length = turn.fields.get(b"content-length")
    if length is not None and int(length) > door.listen.max_body:
        return too_large(door.listen.max_body)
    if hot is None:
        return None
    turn.path = hot.path
    turn.endpoint = hot.methods.get(turn.method)
    if turn.endpoint is None:
        return method_not_allowed(hot.allow)
    return form_flaw(turn.fields, turn.more) if hot.forms else content_flaw(turn.fields)


def worded(refusal: Refusal, target: bytes, door: Door) -> Refusal:
    """The refusal in the words of the API whose path that is."""
    hot = door.hot.get(target) or door.hot.get(path_of(target))
    return refusal if hot is None or hot.words is None else hot.words(refusal)


def _preflight(turn: Turn, hot: HotPath | None, cors: CorsPolicy) -> bool:
    """True when it is a preflight request, which is answered here for every path."""
    turn.more = cors.lines(turn.fields.get(b"origin"))
    if turn.method != b"OPTIONS":
        return False
    lines = cors.preflight(turn.fields, hot.allow if hot else b"GET")
    if lines is None:
        return False
    turn.more = b""
    turn.endpoint = lambda _, reply: reply.whole(200, lines, b"")
    return True
