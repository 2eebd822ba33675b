"""deploy/Containerfile: what can be said of the image by reading it."""

from __future__ import annotations

import json
import re

from tests.deploy.image import FILE, Instruction, in_context, read

INSTRUCTIONS = read(FILE.read_text())


def last_stage() -> list[Instruction]:
    begins = max(i for i, instruction in enumerate(INSTRUCTIONS) if instruction.word == "FROM")
    return INSTRUCTIONS[begins:]


def only(word: str) -> Instruction:
    found = [instruction for instruction in last_stage() if instruction.word == word]
    assert len(found) == 1, f"{word} stands {len(found)} times in the last stage"
    return found[0]


def test_the_final_layer_runs_no_command_so_that_no_tool_of_the_build_gets_into_it() -> None:
    assert [i for i in last_stage() if i.word == "RUN"] == []


def test_no_stage_installs_a_compiler_or_anything_else_from_outside_the_locks() -> None:
    for instruction in INSTRUCTIONS:
        if instruction.word == "RUN":
            assert not re.search(r"\b(apt|apt-get|apk|curl|wget|gcc|git)\b", instruction.value)
            for install in re.findall(r"pip .*?\binstall\b[^&|;]*", instruction.value):
                assert "--require-hashes" in install or "--no-index" in install, install


def test_it_runs_as_nobody_in_particular() -> None:
    assert only("USER").value == "10001:10001"


def test_it_is_stopped_by_the_signal_that_drains_it() -> None:
    assert only("STOPSIGNAL").value == "SIGTERM"


def test_the_command_is_started_itself_and_not_by_a_shell_which_would_keep_the_signal() -> None:
    command = [*only("ENTRYPOINT").listed(), *only("CMD").listed()]
    assert command == ["wayline", "serve", "--config", "/etc/wayline/routes.yaml"]
    assert json.loads(only("CMD").value)


def test_the_health_check_needs_nothing_but_python_and_gives_up_before_its_own_timeout() -> None:
    check = only("HEALTHCHECK")
    command = check.listed()
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    stated = re.search(r"--timeout=(\d+)s", check.value)
    inside = re.search(r"timeout=(\d+)\)", command[2])
    assert stated and inside and int(inside[1]) < int(stated[1])


def test_the_port_is_the_one_of_the_configuration_inside() -> None:
    assert only("EXPOSE").value == "8080"


def test_the_ledger_stands_on_a_volume() -> None:
    assert only("VOLUME").value == "/data"


def test_everything_that_is_copied_is_let_into_the_build_context_and_nothing_else_is() -> None:
    copied = {
        source
        for instruction in INSTRUCTIONS
        if instruction.word == "COPY" and "--from=" not in instruction.value
        for source in instruction.value.split()[:-1]
    }
    assert all(in_context(source) for source in copied)
    let_in = {line[1:] for line in (FILE.parent.parent / ".dockerignore").read_text().split() if line.startswith("!")}
    assert let_in == copied
