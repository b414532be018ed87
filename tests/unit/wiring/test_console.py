"""The console's listener and its desk, made from settings."""

from __future__ import annotations

import logging
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteStore
from answerable.errors import Malformed
from answerable.testing.clock import ManualClock
from answerable.wiring.console import open_console, passkey_desk, providers_of
from answerable.wiring.console_settings import ConsoleSettings
from answerable.wiring.identity_settings import IdentitySettings
from answerable.wiring.setting_tree import GatewaySettings, Settings
from tests.stand_ins.ports import free_port

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def settings(place: Path, *, gateway_port: int = 8765, **console: Any) -> Settings:
    made = Settings(data=place, console=ConsoleSettings(**console))
    return replace(made, gateway=GatewaySettings(port=gateway_port))


def walk_with(place: Path, wanted: Settings) -> Any:
    store = SqliteStore.open(place / "registers.db")
    return SimpleNamespace(asking=SimpleNamespace(passkeys=passkey_desk(wanted, store)), clock=ManualClock())


def test_passkeys_are_bound_to_the_name_of_the_origin_or_to_this_machine(tmp_path):
    desk = walk_with(tmp_path, settings(tmp_path)).asking.passkeys
    assert (desk.rp_id, desk.origins) == ("localhost", ("http://localhost:8768",))
    desk = walk_with(
        tmp_path, settings(tmp_path, origin="https://a.example:8443", groups=("leads",))
    ).asking.passkeys
    assert (desk.rp_id, desk.origins, desk.groups) == ("a.example", ("https://a.example:8443",), ("leads",))
    assert walk_with(tmp_path, settings(tmp_path, enabled=False)).asking.passkeys is None


@pytest.mark.requirement("CONSOLE-02")
def test_a_port_that_is_taken_keeps_the_console_shut_and_nothing_else(tmp_path, caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = settings(tmp_path, port=taken.getsockname()[1])
        walk = walk_with(tmp_path, wanted)
        with caplog.at_level(logging.WARNING):
            assert open_console(wanted, walk.asking.passkeys) is None
    assert "console.port" in caplog.text
    assert walk.asking.passkeys.origins == ()


def test_the_origin_is_where_it_listens_unless_another_one_is_set(tmp_path):
    port = free_port()
    for console, origin in (
        ({"port": port}, f"http://localhost:{port}"),
        ({"port": port, "origin": "https://a.example"}, "https://a.example"),
    ):
        wanted = settings(tmp_path, **console)
        walk = walk_with(tmp_path, wanted)
        door = open_console(wanted, walk.asking.passkeys)
        assert door is not None
        door.listeners.close()
        assert (door.origin, walk.asking.passkeys.origins, door.tls) == (origin, (origin,), None)


def test_where_the_gateway_takes_any_port_the_console_does_too(tmp_path):
    wanted = settings(tmp_path, gateway_port=0)
    walk = walk_with(tmp_path, wanted)
    assert walk.asking.passkeys.origins == ()
    doors = [open_console(wanted, walk.asking.passkeys) for _ in range(2)]
    origins = {door.origin for door in doors if door is not None}
    for door in doors:
        assert door is not None
        door.listeners.close()
    assert len(origins) == 2


def test_roots_are_read_from_a_file_and_a_file_without_any_is_a_fault(tmp_path):
    (tmp_path / "roots.pem").write_text("# two makers\n" + CERTIFICATE * 2)
    wanted = settings(tmp_path, attestation_roots="file:roots.pem")
    assert len(walk_with(tmp_path, wanted).asking.passkeys.roots) == 2
    (tmp_path / "roots.pem").write_text("none\n")
    with pytest.raises(Malformed) as raised:
        walk_with(tmp_path, wanted)
    assert raised.value.code == "console.roots"


def test_people_sign_in_at_the_providers_that_are_listed(tmp_path):
    wanted = replace(
        settings(tmp_path), identity=IdentitySettings(person_issuers=("https://login.example console 600",))
    )
    [provider] = providers_of(wanted, walk_with(tmp_path, wanted))
    assert provider.issuer == "https://login.example"
