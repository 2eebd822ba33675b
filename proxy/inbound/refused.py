"""What a reader of a request stumbles over, and the parameters that all of OpenAI's APIs have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.inbound.way import Wrong


class Refused(Exception):
    """Raised inside a reader, which makes it `Wrong` at its end."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.wrong = Wrong(message, param, code, status)


def missing(name: str) -> Refused:
    """A parameter that must be there is not."""
    return Refused(f"'{name}' is missing.", name, "missing_required_parameter")


def model_of(body: Mapping[str, Any]) -> str:
    """The model that is asked for. Raises `Refused`."""
    model = body.get("model")
    if model is None:
        raise missing("model")
    if type(model) is not str or not model:
        raise Refused("'model' must be a string that is not empty.", "model")
    return model


def flag(body: Mapping[str, Any], name: str) -> bool:
    """A parameter that is true; or false, null or missing. Raises `Refused`."""
    value = body.get(name)
    if value is None:
        return False
    if type(value) is not bool:
        raise Refused(f"'{name}' must be true or false.", name)
    return value


def known(body: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the named parameters that have a value, as they are."""
    return {name: body[name] for name in names if body.get(name) is not None}
