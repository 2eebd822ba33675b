"""The tables of docs/providers.md, made by asking the code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.backends import azure, lmstudio, openrouter
from proxy.backends.openai_spec import Family, OpenAICompatible
from proxy.backends.registry import SPECS, TYPES, bind
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.spec.options import OPTIONS
from proxy.config.values import Backend
from proxy.core.dialect import Dialect, Prepared
from proxy.core.relay import RELAYS, Relay, RelayRequest, Relays
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.testing.probes import EMBEDDINGS, PROBES, Fate, fates

Table = Callable[[Iterable[str], Iterable[Iterable[str]]], str]

MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "azure": "gpt-4.1",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini": "gemini-2.5-flash",
    "moonshot": "moonshot-v1-8k",
    "openai": "gpt-4.1",
    "openrouter": "meta-llama/llama-3.3-70b-instruct",
    "vertex": "gemini-2.5-flash",
    "xai": "grok-3",
}
"""What is asked for where the model matters: one that takes as much as any."""
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "bedrock": {"region": "us-east-1"},
    "vertex": {"project": "p", "location": "global"},
}
MARKS = {Fate.NATIVE: "●", Fate.MAPPED: "○", Fate.DROPPED: "–", Fate.REFUSED: "✗", Fate.LOST: "?"}
OWN_SPECS: Mapping[str, OpenAICompatible] = {
    **SPECS,
    "azure": azure.SPEC,
    "lmstudio": lmstudio.SPEC,
    "openrouter": openrouter.SPEC,
}


def target_of(type_: str) -> Dialect:
    """A target at a backend of this type. Raises `ValueError` where the type wants options that are not in `GIVEN`."""
    row = BACKEND_TYPES[type_]
    url = "https://mine.openai.azure.com" if type_ == "azure" else row.base_url
    if url is None:
        url = "https://example.com/v1"
    options = {key.name: key.default for key in OPTIONS.get(type_, ()) if key.default is not None}
    backend = Backend("b", type_, url, Secret("k"), options={**options, **GIVEN.get(type_, {})})
    model = MODELS.get(type_, "some-model")
    return bind(backend, Target(f"b/{model}", "b", model))


def found() -> dict[str, dict[str, Fate]]:
    """What becomes of everything that can be asked for, at every type there is."""
    return {type_: fates(target_of(type_)) for type_ in sorted(TYPES)}


def parameters(table: Table) -> str:
    """What is native, mapped, dropped and refused. Types that agree in everything share a column."""
    columns: dict[tuple[Fate, ...], list[str]] = {}
    names = [*(probe.name for probe in PROBES), EMBEDDINGS]
    for type_, row in found().items():
        columns.setdefault(tuple(row[name] for name in names), []).append(type_)
    groups = sorted(columns.items(), key=lambda item: (-len(item[1]), item[1]))
    heads = ["", *("<br>".join(types) for _, types in groups)]
    rows = [[name, *(MARKS[marks[at]] for marks, _ in groups)] for at, name in enumerate(names)]
    return table(heads, rows)


def types(table: Table) -> str:
    """Every type: its address, its key's variable, its source."""
    rows = []
    for name, row in sorted(BACKEND_TYPES.items()):
        spec = OWN_SPECS.get(name, OpenAICompatible())
        where = (
            f"`{row.base_url}`" if row.base_url else "" if row.ours else "`base_url`" if row.base_url is None else ""
        )
        source = f"[{spec.dated}]({spec.source})" if spec.source else ""
        rows.append([f"`{name}`", row.doc, where, f"`{row.key_variable}`" if row.key_variable else "", source])
    return table(("type", "is", "address", "key", "page, as of"), rows)


def differences(table: Table) -> str:
    """What the OpenAI-speaking types do not take, call otherwise, tell."""
    rows = []
    for name, spec in sorted(OWN_SPECS.items()):
        row = [f"`{name}`", _listed(spec.refuses), _renamed(spec.renames), _only(spec), _prefill(spec), _told(spec)]
        if any(row[1:]):
            rows.append(row)
    return table(("type", "does not take", "calls otherwise", "takes only", "goes on with an answer", "tells"), rows)


def families(table: Table) -> str:
    """Models that differ from their provider's others."""
    rows = []
    for name, spec in sorted(OWN_SPECS.items()):
        rows += [[f"`{name}`", *_family(family)] for family in spec.families if name not in ("azure", "github-models")]
    return table(("type", "models", "do not take", "call otherwise", "take only", "page, as of"), rows)


def servers(table: Table) -> str:
    """Servers on one's own machine: what says that they are up, and that they load."""
    rows = [
        [f"`{name}`", f"`{spec.health}`", spec.loading.replace("|", "\\|")]
        for name, spec in sorted(SPECS.items())
        if spec.health
    ]
    return table(("type", "is up", "is loading"), rows)


def relays(table: Table) -> str:
    """Which endpoints that are handed on as they are each type is known to have. Those of which nobody knows are tried
    with all of them, and have no row."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(TYPES):
        dialect, spec = target_of(name), OWN_SPECS.get(name)
        if spec is None or spec.relays is not None:
            groups.setdefault(tuple("●" if _has(dialect, relay) else "" for relay in RELAYS), []).append(name)
    rows = [[_listed(names), *marks] for marks, names in sorted(groups.items(), key=lambda group: group[1])]
    return table(("type", *(f"`{relay.path}`" for relay in RELAYS)), rows)


def _has(dialect: Dialect, relay: Relay) -> bool:
    if not isinstance(dialect, Relays):
        return False
    return isinstance(dialect.relay(RelayRequest(relay, b"{}", {}, "some-model", False)), Prepared)


def _family(family: Family) -> list[str]:
    only = ", ".join(f"`{name}`: {_values(values)}" for name, values in sorted(family.only.items()))
    if only and family.free:
        efforts = " or ".join("none given" if effort is None else f"`{effort}`" for effort in family.free)
        only += f" (unless `reasoning_effort` is {efforts})"
    lacks = [_listed(family.refuses)] if family.refuses else []
    lacks += [] if family.prefill else ["going on with an answer"]
    return [family.called, ", ".join(lacks), _renamed(family.renames), only, f"[{family.dated}]({family.source})"]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _renamed(renames: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` → `{other}`" for name, other in sorted(renames.items()))


def _values(values: Iterable[Any]) -> str:
    return ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)


def _only(spec: OpenAICompatible) -> str:
    parts = [f"`{name}`: {_values(values)}" for name, values in sorted(spec.only.items())]
    parts += [f"`response_format`: {', '.join(spec.formats)}"] if spec.formats else []
    return "; ".join(parts)


def _prefill(spec: OpenAICompatible) -> str:
    if spec.prefill is None:
        return ""
    marks = {**spec.prefill.message, **spec.prefill.body}
    way = ", ".join(f"`{name}`: {_values([value])}" for name, value in marks.items()) or "as the last message"
    return f"{way} at `{spec.prefill_path}`" if spec.prefill_path else way


def _told(spec: OpenAICompatible) -> str:
    parts = [f"cost in `usage.{'.'.join(spec.charge.path)}`"] if spec.charge else []
    parts += [] if spec.asks_usage else ["usage without being asked"]
    parts += [f"limits in `{spec.limits}`"] if spec.limits else []
    return "; ".join(parts)
