"""(YAML text, environment) -> `Config`, or every problem at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.config import refs
from proxy.config.build import build
from proxy.config.check import Checker
from proxy.config.databases import keys_in
from proxy.config.problem import Mark, Problem, Problems, in_order
from proxy.config.spec.top import TOP
from proxy.config.tree import parse
from proxy.config.values import Config
from proxy.config.variables import ReadFile

MAX_SECRET = 64 * 1024
"""Bytes of a file that `${file:…}` names; none is larger."""


def load(
    text: str,
    environ: Mapping[str, str],
    source: str,
    read_file: ReadFile,
    has_keys: Callable[[str], bool] = lambda _: False,
) -> Config | Problems:
    """The configuration that a text means. Pure but for `read_file` and `has_keys`, which says whether callers' keys
    stand in the database of a path; raises nothing."""
    root, problems = parse(text)
    if root is None:
        return in_order(source, problems)
    checker = Checker(environ, read_file)
    top = checker.check(TOP, root, "")
    problems += checker.problems
    if top is not None:
        problems += refs.problems(top, has_keys)
    if top is None or problems:
        return in_order(source, problems)
    return build(top, source)


def read_secret(path: str) -> str:
    """Text of a file that `${file:…}` names. Raises OSError or UnicodeDecodeError."""
    if "\0" in path:
        raise FileNotFoundError
    with Path(path).open("rb") as file:
        data = file.read(MAX_SECRET + 1)
    if len(data) > MAX_SECRET:
        raise OSError("too large for a secret")
    return data.decode()


def load_file(
    path: Path, environ: Mapping[str, str] | None = None, has_keys: Callable[[str], bool] = keys_in
) -> Config | Problems:
    """`load` of a file with the process's environment. A file that cannot be read is one more problem."""
    source = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return in_order(source, [Problem(Mark(1, 1), "", f"cannot be read: {error.strerror}")])
    except UnicodeDecodeError as error:
        mark = Mark(error.object.count(b"\n", 0, error.start) + 1, 1)
        return in_order(source, [Problem(mark, "", "is not UTF-8")])
    return load(text, os.environ if environ is None else environ, source, read_secret, has_keys)
