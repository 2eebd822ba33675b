"""Wayline in front of an upstream that plays what a test tells it to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tests.sdk.serving import Serving
from tests.upstream import Answer, InThread, Request
from tests.upstream_answers import ok
from tests.upstream_steps import Behaviour

KEY = "sk-of-a-test-client"
PAIRS = 40
"""Routes of two targets each, so that a test which makes one fail spoils no other's."""
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
direct: true
keys: [{{name: tests, key: {key}}}]
backends:
  up: {{type: openai, base_url: "{upstream}", api_key: sk-of-the-gateway}}
routes:
  named: {{targets: [{{target: up/named, {price}}}], reply_model: route}}
{pairs}
"""
PAIR = "  pair{n}: {{targets: [{{target: up/a{n}, {price}}}, {{target: up/b{n}, {price}}}]}}"
PRICE = "price: {input: 1, output: 2}"


def config(directory: object, upstream: str) -> str:
    """The configuration's text."""
    pairs = "\n".join(PAIR.format(n=n, price=PRICE) for n in range(PAIRS))
    return CONFIG.format(directory=directory, key=KEY, upstream=upstream, pairs=pairs, price=PRICE)


class Script:
    """What the upstream plays, by the model that it is asked for; what nobody said anything about it answers well."""

    def __init__(self) -> None:
        self._plays: dict[str, list[Behaviour | Answer]] = {}
        self._otherwise: Answer = ok()

    def put(self, model: str, plays: Sequence[Behaviour | Answer]) -> None:
        """In this order, the last one for ever."""
        self._plays[model] = list(plays)

    def __call__(self, request: Request, n: int) -> Behaviour:
        plays = self._plays.get(request.json["model"])
        if plays is None:
            return self._otherwise(request, n)
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        return play if isinstance(play, Behaviour) else play(request, n)


class Stage:
    """A running Wayline, the upstream behind it, and who plays what."""

    def __init__(self, server: Serving, there: InThread, script: Script) -> None:
        self.server = server
        self.base_url = server.base_url
        self.there = there
        self._script = script
        self._names = map("m{}".format, itertools.count())
        self._pairs = iter(range(PAIRS))

    def play(self, *plays: Behaviour | Answer) -> str:
        """The model to ask Wayline for, to get these answers one after the other."""
        name = next(self._names)
        self._script.put(name, plays)
        return f"up/{name}"

    def pair(self, first: Behaviour | Answer, second: Behaviour | Answer) -> str:
        """The route to ask for, to have `first` tried before `second`."""
        n = next(self._pairs)
        self._script.put(f"a{n}", [first])
        self._script.put(f"b{n}", [second])
        return f"pair{n}"

    def asked(self, model: str) -> list[Request]:
        """The requests that came to the upstream for what `play` or `pair` gave."""
        kind, _, rest = model.rpartition("/")
        names = {rest} if kind else {model.replace("pair", "a"), model.replace("pair", "b")}
        return [request for request in self.there.up.requests if request.json["model"] in names]

    def left(self, model: str, within: float = 5.0) -> None:
        """Waits until Wayline has closed the connection of the last request for this model. Raises TimeoutError."""
        self.there.run(self.there.up.closed(self.asked(model)[-1].connection, within))
