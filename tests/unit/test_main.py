"""Claims about what the commands that open doors take for granted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from answerable.apps.cli.command import Shell
from answerable.apps.cli.terminal import Terminal
from answerable.main.doors import offline_control
from answerable.main.mcp_commands import GATEWAY_DEFAULT, default_gateway
from answerable.wiring.settings import is_directory_named


def shell(data: Path, *, named: bool) -> Shell:
    terminal = Terminal(as_json=False, quiet=True, colour=False)
    offline: Any = offline_control
    return Shell(terminal=terminal, offline=offline, data=data, data_named=named, config=None, yes=False)


@pytest.mark.requirement("WORDS-06")
def test_the_gateway_is_the_socket_of_the_named_data_directory_or_else_on_loopback(tmp_path: Path) -> None:
    place = tmp_path / "gateway.sock"
    assert default_gateway(shell(tmp_path, named=True)) == f"unix:{place}", "before `up` as after it"
    place.touch()
    assert default_gateway(shell(tmp_path, named=True)) == f"unix:{place}"
    assert default_gateway(shell(tmp_path, named=False)) == GATEWAY_DEFAULT


def test_a_data_directory_is_named_by_option_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANSWERABLE_DATA", raising=False)
    assert not is_directory_named(None)
    assert is_directory_named(Path("here"))
    monkeypatch.setenv("ANSWERABLE_DATA", "there")
    assert is_directory_named(None)
