"""Claims about what `answerable agent up` is told to enrol by."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from answerable.errors import Malformed
from answerable.main.agent_commands import SvidKind, _foreign, _tls
from answerable.sdk.gateway_address import client_tls, open_client
from tests.worlds.federation import Authority


def refusal(*asked: Any, by: Callable[..., Any] = _foreign) -> str:
    with pytest.raises(Malformed) as told:
        by(*asked)
    return told.value.code


def test_a_socket_in_the_environment_alone_asks_for_no_svid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", "unix:///run/somebody.sock")
    assert _foreign(None, "", "") == []
    assert len(_foreign(SvidKind.JWT, "", "")) == 1
    assert len(_foreign(None, "unix:///run/other.sock", "spiffe://theirs.example/w")) == 1


def test_what_does_not_fit_together_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SPIFFE_ENDPOINT_SOCKET", raising=False)
    assert refusal(SvidKind.X509, "", "") == "cli.attestation"
    assert refusal(None, "", "spiffe://theirs.example/w") == "cli.attestation"
    for address in ("/run/agent.sock", "unix://run/agent.sock", "tcp://localhost:80", "http://127.0.0.1:80"):
        assert refusal(SvidKind.X509, address, "") == "federation.socket"
    assert refusal(None, "unix:///run/agent.sock", "theirs.example/w") == "spiffe_id.scheme"
    assert refusal("", "file:client.pem", "", by=_tls) == "cli.attestation"
    assert refusal("", "", "file:client.key", by=_tls) == "cli.attestation"
    assert refusal("", "client.pem", "client.key", by=_tls) == "sidecar.reference"
    assert _tls("", "", "") is None


def test_certificates_and_keys_that_cannot_be_used_are_named_and_not_shown(tmp_path: Path) -> None:
    authority = Authority()
    chain, key = authority.leaf("127.0.0.1").pem()
    other = authority.leaf("127.0.0.1").pem()[1]
    files = {"ca": authority.pem, "chain": chain, "key": key, "other": other, "none": b"no PEM"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    place = {name: str(tmp_path / name) for name in (*files, "nowhere")}
    good = client_tls(authorities=place["ca"], certificate=place["chain"], key=place["key"])
    assert good.verify_mode == ssl.CERT_REQUIRED
    assert good.check_hostname
    for wrong in (
        {"authorities": place["none"]},
        {"authorities": place["nowhere"]},
        {"certificate": place["chain"], "key": place["other"]},
        {"certificate": place["none"], "key": place["key"]},
        {"certificate": place["chain"], "key": place["nowhere"]},
    ):
        with pytest.raises(Malformed) as told:
            client_tls(**wrong)
        assert told.value.code == "client.tls"
        assert "PRIVATE" not in told.value.message
    for gateway in ("http://127.0.0.1:8765", "unix:/run/gateway.sock"):
        with pytest.raises(Malformed) as told:
            open_client(gateway, tls=good)
        assert told.value.code == "shim.gateway"
