"""Names in the settings that no server could start with, or that two doors would fight over: faults by their keys."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from answerable.wiring.settings import parse_settings

pytestmark = pytest.mark.requirement("WORDS-13")


def found(text: str) -> list[tuple[str, str]]:
    _, faults = parse_settings(text.encode(), data=Path("/data"))
    return [(fault.key, fault.message) for fault in faults]


def test_two_doors_on_one_socket_are_named_both() -> None:
    for text in (
        "[control]\nsocket = 'one.sock'\n[gateway]\nsocket = 'one.sock'\n",
        "[ledger]\nshard = 'a'\n[control]\nsocket = 'one.sock'\n[gateway]\nsocket = '/data/one.sock'\n",
        "[ledger]\nshard = 'a'\n[control]\nsocket = 'one.sock'\n[gateway]\nsocket = 'sub/../one.sock'\n",
    ):
        ((key, message),) = found(text)
        assert key == "control.socket"
        assert "`gateway.socket`" in message


@pytest.mark.parametrize("host", ["127.0.0.1", str(IPv4Address(0))])
def test_two_doors_on_one_port_are_named_both(host: str) -> None:
    gateway = f'[gateway]\nport = 9000\nhost = "{host}"\ntls_certificate = "file:c"\ntls_key = "file:k"\n'
    for text, own in (
        ("[console]\nport = 9000\n", "console.port"),
        ("[telemetry]\nmetrics_port = 9000\n", "telemetry.metrics_port"),
        ("[local_witness]\nport = 9000\n", "local_witness.port"),
        ("[identity]\nbundle_port = 9000\n", "identity.bundle_port"),
    ):
        assert (own, "same port as `gateway.port`: each needs its own") in found(gateway + text)
    for text in (
        "[console]\nport = 9000\nenabled = false\n",
        '[identity]\nbundle_host = "::1"\nbundle_port = 9000\n',
        "[local_witness]\nport = 9000\n[witnesses]\nlocal = false\n",
    ):
        assert "same port" not in str(found(gateway + text))
    # Beside a gateway on any port the console takes any port, too.
    assert found("[gateway]\nport = 0\n[telemetry]\nmetrics_port = 8768\n") == []


@pytest.mark.parametrize(("section", "name"), [("ledger", "origin"), ("local_witness", "name")])
@pytest.mark.parametrize("value", ["with space", "a+b", "a\\u0007", " "])
def test_a_name_that_no_signed_note_takes_is_a_fault_of_its_setting(
    section: str, name: str, value: str
) -> None:
    ((key, message),) = found(f'[{section}]\n{name} = "{value}"\n')
    assert key == f"{section}.{name}"
    assert "without spaces" in message


def test_names_that_are_none_or_fit_are_taken() -> None:
    assert found("[ledger]\norigin = 'example.org/log'\n[local_witness]\nname = ''\n") == []


def test_a_byte_order_mark_is_called_by_its_name() -> None:
    ((_, message),) = found("\ufeff[ledger]\n")
    assert "byte order mark" in message
