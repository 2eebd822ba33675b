"""A changed file is noticed however it was changed, and only when it is whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.config.watch import Watched, changed, watch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text("old")
    return path


def looks(path: Path, before: Watched, times: int) -> list[bool]:
    watched, seen = before, []
    for _ in range(times):
        watched, new = changed(watched, path)
        seen.append(new)
    return seen


def test_an_unchanged_file_is_no_change(file: Path) -> None:
    assert looks(file, watch(file), 3) == [False] * 3


def test_a_change_is_told_once_when_a_second_look_finds_the_same(file: Path) -> None:
    before = watch(file)
    file.write_text("new")
    assert looks(file, before, 4) == [False, True, False, False]


def test_a_file_replaced_by_another_one_with_the_same_size_and_time_is_a_change(file: Path) -> None:
    before = watch(file)
    stat = file.stat()
    other = file.with_suffix(".tmp")
    other.write_text("OLD")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(file)
    assert looks(file, before, 2) == [False, True]


def test_a_swapped_symlink_as_kubernetes_does_it_is_a_change(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes.yaml").write_text(name)
    (tmp_path / "..data").symlink_to("v1")
    path = tmp_path / "routes.yaml"
    path.symlink_to("..data/routes.yaml")
    before = watch(path)
    (tmp_path / "..tmp").symlink_to("v2")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    assert looks(path, before, 2) == [False, True]


def test_a_file_that_is_being_written_is_not_taken_half(file: Path) -> None:
    watched = watch(file)
    seen = []
    for content in ("", "n", "ne", "new", "new"):
        file.write_text(content)
        watched, new = changed(watched, file)
        seen.append(new)
    assert seen == [False, False, False, False, True]


def test_a_file_that_is_gone_is_no_change_until_it_comes_back_different(file: Path) -> None:
    watched = watch(file)
    file.unlink()
    for _ in range(3):
        watched, new = changed(watched, file)
        assert not new
    file.write_text("old")
    assert looks(file, watched, 3) == [False] * 3
    file.write_text("new")
    assert looks(file, watched, 2) == [False, True]


def test_a_file_that_was_only_touched_is_no_change(file: Path) -> None:
    before = watch(file)
    os.utime(file, (1, 1))
    assert looks(file, before, 3) == [False] * 3
