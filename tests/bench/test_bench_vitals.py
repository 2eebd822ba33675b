"""The figures of the windows can be taken again."""

from __future__ import annotations

import re

import pytest

from bench import vitals


def test_it_tells_what_an_outcome_a_look_and_a_target_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "ROUNDS", 1)
    monkeypatch.setattr(vitals, "TARGETS", 3)
    vitals.main()
    told = re.fullmatch(
        r"an outcome ([\d.]+) us, a look at 3 targets ([\d.]+) ms, a target ([\d.]+) KB\n", capsys.readouterr().out
    )
    assert told is not None
    assert 0 < float(told[3]) < 100
