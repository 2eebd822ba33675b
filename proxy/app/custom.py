"""The function of strategy `custom`: found and looked at when a configuration is loaded."""

from __future__ import annotations

import importlib
import inspect

from proxy.core.choice.ranking import Custom


def function_of(said: str) -> Custom:
    """`module:name`. Raises `ValueError`, with the reason, where there is no such function, or it cannot be called with
    candidates and facts (see `proxy.core.choice.ranking.Custom`)."""
    module, _, name = said.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # the operator's own module: importing it may do anything
        raise ValueError(f"custom: {said} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise ValueError(f"custom: {said} is no plain function")
    try:
        inspect.signature(found).bind((), None)
    except TypeError as error:
        raise ValueError(f"custom: {said} must take (candidates, facts): {error}") from error
    function: Custom = found
    return function
