"""Hypothesis strategies for configurations: valid ones built along the tables of spec/, and texts of any kind."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from proxy.config.kinds import BACKEND_TYPES

Drawn = st.SearchStrategy[Any]

names = st.sampled_from(["a", "B2", "gpt-4o.x_y-z", "0E0", "1", "on", "null", "x" * 64])
models = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
durations = st.one_of(
    st.integers(1, 600_000),
    st.floats(0.001, 600_000),
    st.sampled_from(["800ms", "1.5s", "5 s", "5m", "1h", "9999ms"]),
)
sizes = st.one_of(st.integers(1, 1 << 40), st.sampled_from(["1B", "32KiB", "20 MiB", "5MB", "1GiB"]))
money = st.one_of(st.integers(0, 1000), st.floats(0, 1000))
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20).filter(
    lambda text: "${" not in text
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
param_names = st.sampled_from(["temperature", "top_p", "seed", "user", "logprobs", "max_tokens", "x.y-z"])
header_names = st.sampled_from(["x-a", "X-B", "Authorization", "User-Agent", "api-key"])


def some(_required: dict[str, Drawn] | None = None, /, **optional: Drawn) -> Drawn:
    """A mapping with the required keys and any of the others."""
    return st.fixed_dictionaries(_required or {}, optional=optional)


settings: dict[str, Drawn] = {
    "timeouts": some(connect=durations, first=durations, idle=durations, total=durations),
    "retry": some(same_target=st.integers(0, 20), patience=st.just(0) | durations),
    "price": some({"input": money, "output": money}, cached_input=money, cache_write=money, reasoning=money),
    "headers": st.dictionaries(
        header_names, st.from_regex(r"[ -~]{0,20}", fullmatch=True).filter(lambda t: "${" not in t)
    ),
    "params": some(
        defaults=st.dictionaries(param_names, json_values, max_size=3),
        overrides=st.dictionaries(param_names, json_values, max_size=3),
    ),
    "drop": st.lists(param_names, max_size=3),
    "concurrency": st.integers(1, 1000),
}
streams: dict[str, Drawn] = {
    "on_cut": st.sampled_from(["continue", "error", "hold"]),
    "hold": st.just("tools"),
    "continue": some(
        by=st.lists(st.sampled_from(["exact", "prefill", "replay", "ask"]), min_size=1, unique=True),
        exact_within=st.just(0) | durations,
    ),
    "max_continuations": st.integers(0, 10),
    "keep_alive": durations,
    "hedge": some(
        after=st.just("p95") | durations,
        max=st.integers(1, 10),
        budget=st.sampled_from(["5%", "0%", "100%", "0.5 %"]) | st.floats(0, 1) | st.integers(0, 1),
    ),
    "min_rate": st.none() | st.integers(1, 1_000_000) | st.floats(0.001, 1000),
}
conditions: dict[str, Drawn] = {
    "max_cost": money,
    "max_latency_ms": st.integers(1, 10**6),
    "min_speed": st.none() | st.integers(1, 1000),
    "context": st.integers(1, 10**6),
    "capabilities": st.lists(st.sampled_from(["tools", "vision", "reasoning"]), min_size=1, unique=True),
    "exclude": st.just(["no/one", "nobody"]),
    "only": st.just(["a"]),
    "free": st.booleans(),
    "local_only": st.booleans(),
}
strategies_ = st.sampled_from(["order", "weighted", "least_latency", "least_busy", "cheapest", "score", "ucb"])
when = some(
    priority=st.sampled_from(["high", "low"]),
    key=names,
    tokens=st.sampled_from([">8000", "<= 10", "5-7"]),
    has=st.just(["tools"]),
    hour=st.sampled_from(["22-6", "0-24", "9 - 17"]),
    header=st.dictionaries(st.sampled_from(["x-a", "X-B"]), st.sampled_from(["*", "a*b"]), min_size=1),
    model_matches=st.sampled_from(["*", "gpt-*"]),
)
choosing: dict[str, Drawn] = {
    "strategy": strategies_,
    "require": some(**conditions),
    "rules": st.lists(some({"use": strategies_, "when": when}, set=some(**conditions)), max_size=1),
    "score": some(cost=st.floats(0, 1), availability=st.just("20%")),
    "ucb": some(exploration=st.floats(0.1, 10), window=durations, min_trials=st.integers(1, 100)),
    "prefer_other_backend": st.booleans(),
    "exclude_failed": durations,
    "sticky": st.booleans(),
}
keys = st.text("abcXYZ019_-", min_size=4, max_size=40)
urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["h", "api.example.com", "127.0.0.1", "[::1]"]),
    st.sampled_from(["", ":1", ":65535"]),
    st.sampled_from(["", "/", "/v1", "/openai/v1/", "/a%20b/~c"]),
)
api_keys = st.one_of(keys, st.just("${SET}"), st.just("${UNSET}"), st.just("${UNSET:-d}"), st.just("${file:/there}"))
local_models = some(
    {"package": names},
    n_ctx=st.integers(64, 10**6),
    parallel=st.integers(1, 8),
    queue=st.integers(0, 100),
    threads=st.integers(1, 64),
    gpu_layers=st.integers(0, 99),
    embedding=st.booleans(),
    preload=st.booleans(),
    chat_template=words.filter(str.strip),
)
OWN: dict[str, dict[str, Drawn]] = {
    "ollama": {
        "num_ctx": st.integers(64, 10**6),
        "keep_alive": st.one_of(durations, st.sampled_from([0, "forever"])),
        "think": st.one_of(st.booleans(), st.sampled_from(["low", "max"])),
        "truncate": st.booleans(),
        "pull": st.booleans(),
    },
    "lmstudio": {"ttl": durations},
}
"""What only backends of a type may say."""


def _backend(name: str) -> Drawn:
    row = BACKEND_TYPES[name]
    if row.ours:
        return some(
            {"type": st.just(name), "models": st.dictionaries(models, local_models, min_size=1, max_size=2)},
            engine=st.sampled_from(["auto", "xllamacpp", "llama-cpp-python"]),
            isolation=st.sampled_from(["process", "none"]),
            prefill=st.booleans(),
            **settings,
        )
    own = {"region": st.sampled_from(["us-east-1", "cn-north-1"])} if name == "bedrock" else {}
    more = OWN.get(name, {})
    return some(
        {"type": st.just(name), "base_url": urls, **own}, api_key=api_keys, prefill=st.booleans(), **more, **settings
    )


@st.composite
def _route(draw: st.DrawFn, backends: dict[str, Any]) -> Any:
    def target() -> Any:
        backend = draw(st.sampled_from(sorted(backends)))
        model = draw(st.sampled_from(sorted(backends[backend].get("models", {"": 0})))) or draw(models)
        if "${" in model:
            model = "m"
        return f"{backend}/{model}"

    named = list(dict.fromkeys(target() for _ in range(draw(st.integers(1, 4)))))
    targets = [
        name if draw(st.booleans()) else {"target": name, **draw(some(prefill=st.booleans(), **settings))}
        for name in named
    ]
    more = some(
        max_attempts=st.integers(1, 100),
        reply_model=st.sampled_from(["upstream", "route"]),
        same_vectors=st.booleans(),
        on_filter=st.sampled_from(["error", "next"]),
        **choosing,
        **streams,
        **settings,
    )
    return {"targets": targets, **draw(more)}


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A valid configuration as plain data. `SET` must be a variable that is set, `/there` a file."""
    kinds = st.sampled_from(sorted(BACKEND_TYPES)).flatmap(_backend)
    # `${` in the name of a local model could not be named by a target, where it would mean a variable
    backends = {
        name: backend
        for name, backend in draw(st.dictionaries(names, kinds, min_size=1, max_size=3)).items()
        if not any("${" in model for model in backend.get("models", ()))
    } or {"b": {"type": "ollama"}}
    routes = draw(st.dictionaries(names, _route(backends), min_size=1, max_size=3))
    top = some(
        listen=some(
            port=st.integers(0, 65535),
            header_timeout=durations,
            drain=durations,
            max_body=sizes,
            max_depth=st.integers(4, 512),
        ),
        ledger=st.just(False) | some(path=words),
        store=some(path=words, days=st.integers(1, 3650)),
        cors=some({"origins": st.just(["*"]) | st.just(["https://a.example"])}, max_age=durations),
        keys=st.lists(
            some({"name": names, "key": keys}), max_size=3, unique_by=(lambda k: k["name"], lambda k: k["key"])
        ),
        direct=st.booleans(),
        log=st.sampled_from(["auto", "json", "pretty"]),
    )
    for route in routes.values():
        for said in (route.get("require", {}), *(rule.get("set", {}) for rule in route.get("rules", ()))):
            if "only" in said:  # conditions that leave nothing are a mistake
                said["only"] = sorted(backends)
    return {**draw(top), "backends": backends, "routes": routes}


tokens = st.sampled_from(
    [
        *("a", ": ", "- ", "\n", "  ", "{", "}", "[", "]", ", ", "&x ", "*x", "!t ", "!!int ", "? ", "'", '"', "|\n"),
        *("#", "---\n", "...\n", "%YAML 1.1\n", "backends: ", "routes: ", "targets: ", "type: openai", "${A}", "${"),
        *("$${", "~", "1e999", ".nan", "0x", "b/m", "<<: ", "\t", "\\", "\x00", "\ud800", "\\ud800", "\u2028", ">\n"),
        *("keys: ", "key: ", "listen: ", "9" * 5000),
    ]
)
yaml_like = st.lists(tokens, max_size=40).map("".join)

_keys = st.sampled_from(
    ["backends", "routes", "listen", "keys", "b", "r", "type", "targets", "models", "timeouts", "price", "path"]
)
_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.sampled_from(["openai", "llamacpp", "b/m"])
)
anything = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4), max_leaves=20
)
