"""One table of actions, from which the admin API's routes and its OpenAPI document are made: they cannot differ."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypedDict

from proxy.ops.admin_schema import Json, Schemas, fields_of

Worker = Annotated[int, "Process id of the worker that answered: what it tells of moments is its own."]
_PATH_PARAM = re.compile(r"{(\w+)}")


class Refused(Exception):
    """What was asked for is not done. The message is for whoever asked."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        *,
        param: str | None = None,
        type_: str = "invalid_request_error",
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """`more`: further members of the error object."""
        super().__init__(message)
        self.status = status
        self.error: Json = {"message": message, "type": type_, "code": code, "param": param, **(more or {})}


class Ask(NamedTuple):
    """A request that was read: all of it is of the types that its action names."""

    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that the API does. `path` as in OpenAPI, below the API's own."""

    method: str
    path: str
    name: str
    """What OpenAPI calls operationId."""
    doc: str
    do: Callable[[Ask], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
    """Gives the answer, of type `gives`. May raise `Refused`."""
    gives: Any
    """A TypedDict."""
    query: Any = None
    """A TypedDict of single values."""
    takes: Any = None
    """A TypedDict: the body, as JSON."""
    body_optional: bool = False
    about: Mapping[str, str] = field(default_factory=dict)
    """What stands in the path, in words."""

    @property
    def params(self) -> list[str]:
        """The names in its path."""
        return _PATH_PARAM.findall(self.path)


class Error(TypedDict):
    """As OpenAI's API says it."""

    message: str
    type: str
    code: str | None
    param: str | None


class Failed(TypedDict):
    """Every answer whose status is not 200."""

    error: Error


def document(actions: Iterable[Action], version: str, path: str) -> Json:
    """The OpenAPI document. `path`: where the API stands."""
    schemas = Schemas()
    paths: dict[str, Json] = {}
    failed = schemas.of(Failed)
    schemas.named["Error"]["additionalProperties"] = {}  # some have more to say
    for action in actions:
        paths.setdefault(action.path, {})[action.method.lower()] = _operation(action, schemas, failed)
    paths["/events"] = {"get": _EVENTS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wayline, for operators",
            "version": version,
            "description": "What is going on, and what can be done about it. Several workers answer in turn: each "
            "tells which one it is, and tells of itself.",
        },
        "servers": [{"url": path}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key of `admin:`."}},
        },
    }


_EVENTS: Json = {
    "operationId": "events",
    "summary": "What happens, as it happens: server-sent events, with comments in between.",
    "responses": {
        "200": {"description": "A stream.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    },
}


def _operation(action: Action, schemas: Schemas, failed: Json) -> Json:
    told = schemas.table(action.gives, {"worker": Worker})
    schemas.named[action.gives.__name__] = told
    answer = {"$ref": f"#/components/schemas/{action.gives.__name__}"}
    operation: Json = {
        "operationId": action.name,
        "summary": action.doc,
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": answer}}},
            "default": {"description": "Not done.", "content": {"application/json": {"schema": failed}}},
        },
    }
    parameters = [_in_path(name, action.about.get(name, "")) for name in action.params] + _in_query(action, schemas)
    if parameters:
        operation["parameters"] = parameters
    if action.takes is not None:
        body = {"application/json": {"schema": schemas.of(action.takes)}}
        operation["requestBody"] = {"required": not action.body_optional, "content": body}
    return operation


def _in_path(name: str, words: str) -> Json:
    told: Json = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    return {**told, "description": words} if words else told


def _in_query(action: Action, schemas: Schemas) -> list[Json]:
    if action.query is None:
        return []
    return [
        {"name": name, "in": "query", "required": must, "schema": schemas.of(hint)}
        for name, (hint, must) in fields_of(action.query).items()
    ]
