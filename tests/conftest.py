"""What holds for every test, and how pytest-xdist shares them out."""

from __future__ import annotations

import gc
from typing import Any

import pytest

TOGETHER = "tests/readme/"
"""Its files look at what came out of one run of the README, which takes as long as all of them."""


def pytest_collection_finish() -> None:
    """What stands now stands to the end: a collection looks only at what tests leave behind."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, where all tests of a file run in one process; and all of `TOGETHER`."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # here, since pytest runs without it, too

    scheduling = LoadFileScheduling(config, log)
    file_of = scheduling._split_scope
    scheduling._split_scope = lambda test: TOGETHER if test.startswith(TOGETHER) else file_of(test)
    return scheduling
