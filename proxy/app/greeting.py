"""What a person at a terminal reads when Wayline is ready."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.config.databases import keys_in
from proxy.config.values import Config

QUESTION = "Name the capital of France."
"""One that the small model of the default routes.yaml gets right."""


def greeting(config: Config, host: str, port: int, trouble: Iterable[str] = ()) -> str:
    """Where it listens, what is left out and why, and two requests that can be pasted.

    `trouble`: a line for each target that is configured and cannot be used.
    """
    name = f"[{host}]" if ":" in host else host
    base = f"http://{'127.0.0.1' if name in ('0.0.0.0', '[::]') else name}:{port}"
    lines = [f"Wayline is ready at {base}/v1"]
    lines += [
        f"  not configured: {backend.name} ({', '.join(backend.missing)} is not set)"
        for backend in config.backends.values()
        if backend.missing
    ]
    lines += [f"  {line}" for line in trouble]
    if config.admin is not None:
        lines.append(f"  for operators: {base}{config.admin.path}/")
    route = _route(config)
    if route is None:
        lines.append("  no route has a target that is configured: see `wayline check`")
        return "\n".join(lines)
    keyed = bool(config.keys) or keys_in(config.state)
    key = ' -H "Authorization: Bearer $WAYLINE_KEY"' if keyed else ""
    body = f'{{"model": "{route}", "messages": [{{"role": "user", "content": "{QUESTION}"}}]}}'
    python_key = 'os.environ["WAYLINE_KEY"]' if keyed else '"none"'
    lines += [
        "",
        f"  curl {base}/v1/chat/completions -H 'content-type: application/json'{key} \\",
        f"    -d '{body}'",
        "",
        f'  python -c \'import os, openai; c = openai.OpenAI(base_url="{base}/v1", api_key={python_key}); '
        f'print(c.chat.completions.create(model="{route}", messages=[{{"role": "user", '
        f'"content": "{QUESTION}"}}]).choices[0].message.content)\'',
        "",
    ]
    return "\n".join(lines)


def _route(config: Config) -> str | None:
    """The first that can chat."""
    for name, route in config.routes.items():
        for target in route.targets:
            model = config.backends[target.backend].models.get(target.model)
            if "embed" not in target.model and (model is None or not model.embedding):
                return name
    return None
