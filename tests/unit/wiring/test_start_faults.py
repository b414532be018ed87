"""Settings that a file may have and a start refuses: `check-config` tells them, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from answerable.wiring.start_faults import config_faults

CASES = {
    "ledger: unsealed_bytes_max is 65536, expected at least 1114112": (
        "[ledger]\nunsealed_bytes_max = 65536\nseal_unsealed_bytes = 65536\n"
    ),
    "gateway.socket_group: there is no group `nobody-has-it`": '[gateway]\nsocket_group = "nobody-has-it"\n',
    "gateway.socket_group: group `12345` cannot reach": '[gateway]\nsocket_group = "12345"\n',
    "gateway.tls_certificate: the TLS certificate or its key cannot be used": (
        '[gateway]\ntls_certificate = "file:answerable.toml"\ntls_key = "file:answerable.toml"\n'
    ),
    "console.tls_certificate: the TLS certificate or its key cannot be used": (
        '[console]\ntls_certificate = "file:answerable.toml"\ntls_key = "file:answerable.toml"\n'
        'origin = "https://console.example"\n'
    ),
    "console.attestation_roots: `console.attestation_roots` refers": (
        '[console]\nattestation_roots = "file:answerable.toml"\n'
    ),
    "identity.x509_pop_ca: cannot read": '[identity]\nx509_pop_ca = "file:answerable.toml"\n',
    "identity.ssh_ca: known hosts, line 1": '[identity]\nssh_ca = "file:answerable.toml"\n',
    "identity.ssh_ca: known hosts, line 1:": '[identity]\nssh_ca = "file:noise"\n',
    "telemetry.otlp_header: what": (
        '[telemetry]\notlp_endpoint = "https://otel.example/v1/metrics"\notlp_header = "file:answerable.toml"\n'
    ),
    "gateway.host: cannot listen on `192.0.2.1`": (
        '[gateway]\nhost = "192.0.2.1"\ntls_certificate = "file:answerable.toml"\ntls_key = "file:answerable.toml"\n'
    ),
    "gateway.socket: cannot listen on the socket `g.sock`: there is no folder": (
        '[gateway]\nsocket = "nowhere/g.sock"\n'
    ),
    "control.socket: cannot listen on the socket `c.sock`: there is no folder": (
        '[control]\nsocket = "nowhere/c.sock"\n'
    ),
    "identity.oidc_issuers: `http://issuer.example` is not an https URL": (
        '[identity]\noidc_issuers = ["http://issuer.example answerable"]\n'
    ),
    "channels: ": (
        '[channels]\nslack_token = "file:answerable.toml"\nroutes = ["approvers slack"]\n'
        'authorities = "file:answerable.toml"\n'
    ),
    "`upstreams.user`: account `nobody-has-it` does not exist": '[upstreams]\nuser = "nobody-has-it"\n',
    "logs.follow: `web1 sshd folder`: it is a directory": '[logs]\nfollow = ["web1 sshd folder"]\n',
    "logs.follow: `web1 sshd pipe`: it is a pipe or a device": '[logs]\nfollow = ["web1 sshd pipe"]\n',
    "logs.follow: `web1 journald noise`: it is no output of `journalctl -o json`": (
        '[logs]\nfollow = ["web1 sshd later", "web1 nginx *.log", "web1 journald noise"]\n'
    ),
    "broker.gateway_users: there is no account": '[broker]\ngateway_users = ["nobody-has-it"]\n',
}


@pytest.mark.requirement("CLI-10")
@pytest.mark.parametrize("told", CASES)
def test_what_a_start_refuses_is_a_fault_with_its_setting(tmp_path: Path, told: str) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "noise").write_bytes(b"\xff\xfe\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "answerable.toml").write_text(CASES[told])
    found = config_faults(tmp_path)
    assert any(told in one for one in found), found
    assert all(one.startswith("answerable.toml: ") for one in found)


@pytest.mark.requirement("CLI-10")
def test_faults_of_the_file_come_first_and_a_sound_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "answerable.toml").write_text('[gateway]\nport = -1\nsocket_group = "nobody-has-it"\n')
    (found,) = config_faults(tmp_path)
    assert "gateway.port" in found
    other = tmp_path / "other.toml"
    other.write_text("[gateway]\nsocket_group = 'nobody-has-it'\n")
    (found,) = config_faults(tmp_path, other)
    assert found.startswith(f"{other}: gateway.socket_group")
    other.write_text("")
    assert config_faults(tmp_path, other) == ()
    assert [one.name for one in tmp_path.iterdir() if one.suffix != ".toml"] == [], "nothing is made"
