"""Claims about the settings file."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.adapters.tlog_files import TlogFilesSettings
from answerable.adapters.uvicorn_front import FrontLimits
from answerable.apps.mcp_gateway.services import GatewayLimits
from answerable.core.identity.proof.session import LIFETIME_SECONDS_MAX
from answerable.core.ledger.codec import SEGMENT_BYTES_MAX
from answerable.errors import Malformed, Unavailable
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.wiring.setting_tree import Settings, listed_settings
from answerable.wiring.settings import (
    faults,
    load_settings,
    parse_settings,
    product_directory,
    secret,
)

DATA = Path("/srv/a")


def settings(text: str) -> Settings:
    tree, found = parse_settings(text.encode(), data=DATA)
    assert tree is not None, found
    return tree


def messages(text: str) -> list[str]:
    tree, found = parse_settings(text.encode(), data=DATA)
    assert tree is None
    return [fault.text("answerable.toml") for fault in found]


def test_no_file_is_a_whole_configuration_on_loopback(tmp_path: Path) -> None:
    tree = load_settings(tmp_path)
    assert (tree.gateway.host, tree.gateway.port) == ("127.0.0.1", 8765)
    assert tree.gateway.socket == tmp_path / "gateway.sock"
    assert tree.control.socket == tmp_path / "control.sock"
    assert tree.ledger.directory == tmp_path / "ledger"
    assert tree.registers.database == tmp_path / "answerable.db"
    assert tree.walk == WalkLimits()
    assert faults(tmp_path) == ()


def test_values_replace_defaults_and_relative_paths_start_at_the_data_directory() -> None:
    tree = settings(
        '[gateway]\nport = 9000\nallowed_hosts = ["a.example"]\n[walk]\nintent_ttl_ms = 500\n'
        '[ledger]\ndirectory = "logs/one"\norigin = "log.example/one"\n[registers]\ndatabase = "/var/db/x.db"\n'
    )
    assert tree.gateway.port == 9000
    assert tree.gateway.allowed_hosts == ("a.example",)
    assert tree.walk.intent_ttl_ms == 500
    assert tree.ledger.directory == DATA / "logs/one"
    assert tree.registers.database == Path("/var/db/x.db")


def test_every_fault_is_reported_at_once_with_its_line() -> None:
    text = """# comment
[gateway]
hots = "127.0.0.1"
port = "8765"
allowed_hosts = [
  "a",
  1,
]

[lodger]
x = 1
[walk]
intent_ttl_ms = 0
approval_ttl_ms = true
"""
    assert messages(text) == [
        "answerable.toml:10: lodger: unknown section `lodger`; did you mean `ledger`?",
        "answerable.toml:3: gateway.hots: unknown key `hots`; did you mean `host`?",
        "answerable.toml:4: gateway.port: expected a whole number of port, got text",
        "answerable.toml:5: gateway.allowed_hosts: expected a list of texts, and item 2 is a number",
        "answerable.toml:13: walk.intent_ttl_ms: expected 100 to 600000 milliseconds, got 0",
        "answerable.toml:14: walk.approval_ttl_ms: expected a whole number of milliseconds, got true or false",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("gateway.hots = 1", 1),
        ('\n"gateway" . "hots" = 1', 2),
        ("# x\n[ gateway ] # y\n\nhots = [ # z\n 1,\n]\n", 4),
        ('[gateway]\nhost = """\n127\n"""\nhots = 1\n', 5),
        ("[gateway.hots]\na = 1\n", 1),
        ("[ledger]\nhots2 = 1\n[[gateway.hots]]\na = 1\n", 3),
        ("gateway = { hots = 1 }\n", 1),
    ],
)
def test_the_line_of_a_key_is_found_in_every_way_toml_can_spell_it(text: str, line: int) -> None:
    _, found = parse_settings(text.encode(), data=DATA)
    assert line in [fault.line for fault in found if fault.key == "gateway.hots"]


def test_what_is_not_toml_is_one_fault_with_its_line() -> None:
    assert messages("[gateway]\nport = = 1\n")[0].startswith("answerable.toml:2: not TOML: invalid value")
    assert parse_settings(b"\xff", data=DATA)[1][0].message == "not UTF-8: at byte 0"


@pytest.mark.parametrize("key", ["tls_certificate", "tls_key", "tls_client_ca"])
def test_a_secret_value_in_the_file_is_a_fault_and_is_not_repeated(key: str) -> None:
    said = messages(f'[gateway]\n{key} = "hunter2-the-value"\n')
    assert "reference" in said[0]
    assert "hunter2" not in "".join(said)


def test_only_loopback_is_served_without_a_certificate() -> None:
    assert "is not loopback" in messages('[gateway]\nhost = "0.0.0.0"')[0]
    assert "set together" in messages('[gateway]\ntls_certificate = "file:c.pem"')[0]
    assert "client certificates need" in messages('[gateway]\ntls_client_ca = "file:ca.pem"')[0]
    served = settings('[gateway]\nhost = "0.0.0.0"\ntls_certificate = "file:c.pem"\ntls_key = "env:KEY"')
    assert served.gateway.tls_key == "env:KEY"
    assert settings('[gateway]\nhost = "::1"').gateway.host == "::1"


def test_a_socket_path_that_does_not_fit_its_address_is_a_fault() -> None:
    _, found = parse_settings(b"", data=Path("/" + "x" * 120))
    assert [fault.key for fault in found] == [
        "gateway.socket",
        "control.socket",
        "local_witness.socket",
        "identity.socket",
        "broker.socket",
    ]


def test_a_named_file_that_is_absent_is_a_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, tmp_path / "no.toml") == (f"{tmp_path / 'no.toml'}: there is no such file",)
    with pytest.raises(Malformed, match="there is no such file"):
        load_settings(tmp_path, tmp_path / "no.toml")


def test_loading_names_the_first_fault_and_counts_the_others(tmp_path: Path) -> None:
    (tmp_path / "answerable.toml").write_text("[gateway]\nport = -1\nhots = 1\n")
    with pytest.raises(Malformed, match=r"hots.*and 1 more: run `answerable check-config`") as caught:
        load_settings(tmp_path)
    assert caught.value.code == "settings.faults"
    assert len(faults(tmp_path)) == 2


def test_a_secret_that_cannot_be_read_is_a_fault_of_the_check(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("pem")
    (tmp_path / "answerable.toml").write_text(
        '[gateway]\ntls_certificate = "file:c.pem"\ntls_key = "file:k.pem"\n'
    )
    assert faults(tmp_path) == (
        "answerable.toml: gateway.tls_key: secret file `k.pem` cannot be read: no such file or directory",
    )


def test_secrets_come_from_files_and_the_environment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").write_bytes(b"from file\n")
    monkeypatch.setenv("ANSWERABLE_TEST_SECRET", "from environment")
    monkeypatch.delenv("ANSWERABLE_TEST_ABSENT", raising=False)
    assert secret("file:s", data=tmp_path) == b"from file\n"
    assert secret(f"file:{tmp_path}/s", data=DATA) == b"from file\n"
    assert secret("env:ANSWERABLE_TEST_SECRET", data=DATA) == b"from environment"
    with pytest.raises(Unavailable):
        secret("env:ANSWERABLE_TEST_ABSENT", data=DATA)
    with pytest.raises(Malformed) as caught:
        secret("hunter2", data=DATA)
    assert "hunter2" not in caught.value.message


def test_the_data_directory_is_given_else_of_the_environment_else_beside_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANSWERABLE_DATA", raising=False)
    assert product_directory(None) == tmp_path / ".answerable"
    monkeypatch.setenv("ANSWERABLE_DATA", "/srv/b")
    assert product_directory(None) == Path("/srv/b")
    assert product_directory(Path("c")) == tmp_path / "c"


def test_every_setting_has_a_default_a_unit_and_a_sentence() -> None:
    listed = list(listed_settings())
    assert all(one.unit and one.says for one in listed)
    assert all(one.bounds for one in listed if type(one.default) is int)
    assert {one.key for one in listed if one.section == "walk"} == {one.name for one in fields(WalkLimits)}


def test_the_defaults_are_those_of_the_parts_they_are_for(tmp_path: Path) -> None:
    tree = load_settings(tmp_path)
    for part, known in (
        (ProofLimits(authorities=frozenset()), asdict(tree.proof)),
        (UpstreamSettings(), asdict(tree.upstreams)),
        (FrontLimits(), asdict(tree.front)),
        (TlogFilesSettings(), asdict(tree.ledger)),
        (GatewayLimits(), asdict(tree.gateway)),
    ):
        for name, value in known.items():
            assert getattr(part, name, value) == value, name
    bounds = {(one.section, one.key): one.bounds for one in listed_settings()}
    assert bounds["ledger", "segment_bytes"].endswith(f" to {SEGMENT_BYTES_MAX}")
    assert bounds["proof", "session_seconds"].endswith(f" to {LIFETIME_SECONDS_MAX}")


def test_seconds_may_have_a_fraction_and_counts_may_not() -> None:
    assert (
        settings("[upstreams]\nconnect_wait_seconds = 0.5\nsteady_seconds = 3").upstreams.steady_seconds == 3
    )
    assert messages("[upstreams]\nconnections_max = 1.5") == [
        "answerable.toml:2: upstreams.connections_max: expected a whole number of connections, got a number"
    ]
    assert "expected 0 to 60 seconds" in messages("[upstreams]\nconnect_wait_seconds = inf")[0]
    assert "expected 0 to 60 seconds" in messages("[upstreams]\nconnect_wait_seconds = nan")[0]
