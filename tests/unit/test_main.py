"""Claims about what the commands that open doors take for granted."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from answerable.apps.cli.command import Shell
from answerable.apps.cli.terminal import Terminal
from answerable.main.doors import offline_control
from answerable.main.mcp_commands import GATEWAY_DEFAULT, default_gateway, wrap_client
from answerable.wiring.settings import is_directory_named


def shell(data: Path, *, named: bool) -> Shell:
    terminal = Terminal(as_json=False, quiet=False, colour=False)
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


@pytest.mark.requirement("WORDS-09")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_wrap_says_where_no_gateway_answers_yet_and_what_starts_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"notes": {"command": "notes-server"}}}))
    with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as gateway:
        gateway.bind(str(tmp_path / "g") if kind == "unix" else ("127.0.0.1", 0))
        address = (
            f"unix:{tmp_path / 'g'}" if kind == "unix" else f"http://127.0.0.1:{gateway.getsockname()[1]}"
        )
        wrap_client(shell(tmp_path, named=True), file, tmp_path / "key", gateway=address)
        told = " ".join(capsys.readouterr().err.split())
        assert f"no gateway answers at {address} yet" in told
        assert "`answerable up`" in told
        gateway.listen()
        wrap_client(shell(tmp_path, named=True), file, tmp_path / "key", gateway=address)
        assert "no gateway answers" not in capsys.readouterr().err
