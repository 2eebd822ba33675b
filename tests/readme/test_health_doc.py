"""docs/health.md says what the code does."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from typing import Any

import orjson

from proxy.app.webhook import PAUSE_MAX, TRIES, WAITING, signature, told
from proxy.config.load import load, read_secret
from proxy.config.values import Config
from proxy.core.secret import Secret
from proxy.core.vitals import score
from proxy.core.vitals.anomalies import LEVELS
from proxy.core.vitals.windows import WINDOWS
from proxy.engine.alerts import Alert
from proxy.engine.probes import AT_ONCE, TOKENS, WITHIN
from proxy.engine.watch import WATCHED
from tests.readme.blocks import ROOT, parsed

TEXT = (ROOT / "docs/health.md").read_text(encoding="utf-8")
BLOCKS = {block.kind: block.text for block in parsed(TEXT)}
SHELL = {"WEBHOOK_URL": "https://hooks.test/", "WEBHOOK_SECRET": "s", "OPENAI_API_KEY": "k"}


def test_its_configuration_is_one() -> None:
    alerts, probes = (block.text for block in parsed(TEXT) if block.kind == "yaml")
    config = load(alerts + probes, SHELL, "routes.yaml", read_secret)
    assert isinstance(config, Config), str(config)
    assert [t.probe and t.probe.by for t in config.routes["chat"].targets] == ["tiny_completion", None]


def test_the_receiver_s_few_lines_check_what_is_sent() -> None:
    space: dict[str, Any] = {}
    exec(BLOCKS["python"], space)
    is_genuine: Callable[[str, dict[str, str], bytes], bool] = space["is_genuine"]
    shown = orjson.loads(BLOCKS["json"])
    data, now = shown["data"], int(time.time())
    body = told(
        Alert(data["kind"], data["subject"], True, 1_795_291_200.0, 1_795_291_200.0, data["message"], data["about"])
    )
    assert orjson.loads(body) == shown

    def headers(at: int) -> dict[str, str]:
        said = signature(Secret("s3cret"), "msg_1", at, body)
        return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": said}

    assert is_genuine("s3cret", headers(now), body)
    assert not is_genuine("s3cret", headers(now - 1000), body)
    assert not is_genuine("s3cret", headers(now), body + b" ")
    assert not is_genuine("other", headers(now), body)
    assert base64.b64decode(headers(now)["webhook-signature"].removeprefix("v1,"))


def test_its_numbers_are_those_of_the_code() -> None:
    assert re.findall(r"\*\*(\w+)\*\*", TEXT)[:5] == list(WINDOWS)
    points = re.findall(r"^\| (?:errors|latency|anomalies|cuts and refusals) \| (\d+) \|", TEXT, re.M)
    assert [float(one) for one in points] == [score.ERRORS, score.LATENCY, score.ANOMALIES, score.TROUBLES]
    assert set(LEVELS) == set(re.findall(r"^\| `(\w+)` \| \d", TEXT, re.M))
    kinds = {
        kind
        for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (?:target|route|backend|budget)", TEXT, re.M)
        for kind in re.findall(r"\w+", row)
    }
    assert kinds == WATCHED | {"budget", "quality"}
    for said in (
        f"up to {TRIES} times",
        f"{WAITING:,} wait at most",
        f"up to {PAUSE_MAX:g} s",
        f"{AT_ONCE} at once",
        f"after {WITHIN:g} s",
        f"for {TOKENS} tokens",
    ):
        assert said in " ".join(TEXT.split()), said
