"""docs/admin.md: its examples have the fields that the API really gives."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tests.app.administering import operator
from tests.upstream import Upstream
from tests.upstream_answers import stream_ok

DOC = (Path(__file__).resolve().parents[2] / "docs/admin.md").read_text("utf-8")


def shown(call: str) -> Any:
    """What the document shows as the answer to this call."""
    found = re.search(r"^\$ curl [^\n]*" + re.escape(call) + r"[^\n]*\n(.*?)(?=^$|^```)", DOC, re.M | re.S)
    assert found is not None
    return json.loads(found[1].replace("\n", ""))


def fields(value: Any) -> Any:
    """The names in it, as deep as they go."""
    return {name: fields(one) for name, one in value.items()} if isinstance(value, dict) else None


def test_the_examples_are_as_the_api_answers(tmp_path: Path) -> None:
    async def run() -> None:
        async with Upstream(stream_ok()) as up, operator(tmp_path, up.base_url) as admin:
            assert fields(shown("/admin/status")) == fields(await admin.get("/status"))
            real = await admin.post("/targets/up/first/test")
            assert fields(shown("/test -X POST")) == fields(real)

    asyncio.run(run())
