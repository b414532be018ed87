"""The command lines by which `answerable up` starts its witness and its broker are run without the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from answerable.main import kept_processes
from answerable.main.kept_processes import broker_command, run_kept, witness_command

pytestmark = pytest.mark.requirement("HOUSE-37")
PROGRAM = 4
"""Words of a command before those that the program gets: Python, its option, and the module."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was served: the folder, and what was asked for."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        kept_processes,
        "serve_broker",
        lambda terminal, settings, **how: found.append(("broker", settings.data, how)),
    )
    monkeypatch.setattr(
        kept_processes,
        "serve_witness",
        lambda terminal, settings, **how: found.append(("witness", settings.data, how)),
    )
    return found


@pytest.mark.parametrize("is_named", [False, True])
def test_each_command_that_up_writes_is_read_as_what_it_says(tmp_path, served, is_named):
    config = tmp_path / "settings.toml" if is_named else None
    if config is not None:
        config.write_text("[gateway]\nport = 0\n")
    broker, witness = broker_command(tmp_path, config), witness_command(tmp_path, config)
    assert broker[:PROGRAM] == witness[:PROGRAM] == (sys.executable, "-P", "-m", "answerable")
    assert run_kept(broker[PROGRAM:]) == 0
    assert run_kept(witness[PROGRAM:]) == 0
    assert run_kept((*witness[PROGRAM:], "--log", "one+key", "--log", "another+key")) == 0
    assert served == [
        ("broker", tmp_path, {"until_eof": True}),
        ("witness", tmp_path, {"logs": (), "until_eof": True}),
        ("witness", tmp_path, {"logs": ("one+key", "another+key"), "until_eof": True}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "up",
        "--data",
        "--data d",
        "--data d up",
        "--data d broker",
        "--data d broker --quiet --until-eof --help",
        "broker --quiet --until-eof",
        "--data d witness serve",
        "--data d witness show --quiet --until-eof",
        "--data d witness serve --quiet --until-eof --log",
        "--data d witness serve --quiet --until-eof --json yes",
        "--config c --data d witness serve --quiet --until-eof",
    ],
)
def test_every_other_line_is_left_to_the_command_line(served, line):
    assert run_kept(line.split()) is None
    assert served == []


@pytest.mark.parametrize("command", [broker_command, witness_command])
def test_what_is_wrong_is_told_as_the_command_line_tells_it(tmp_path: Path, command: Any):
    (tmp_path / "answerable.toml").write_text("[gateway]\nprot = 0\n")
    kept = command(tmp_path, None)
    # An option that changes nothing here, and that `up` does not write.
    whole = (*kept, "--no-color")
    light, typed = (subprocess.run(one, capture_output=True, text=True, timeout=60) for one in (kept, whole))
    assert light.returncode == typed.returncode == 1
    assert light.stderr == typed.stderr
    assert "unknown key `prot`; did you mean `port`?" in light.stderr
    assert light.stdout == typed.stdout == ""
