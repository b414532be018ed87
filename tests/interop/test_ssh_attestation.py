"""SSH hosts whose keys, certificates and signatures the real `ssh-keygen` made; and a look at ours by it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from answerable.core.identity.workload.attestation import possession_message
from answerable.core.identity.workload.ssh_signature import fingerprint, read_identity
from answerable.errors import AnswerableError
from answerable.testing import ManualClock
from tests.worlds.attestation import THUMBPRINT, attestor, edwards_key, ssh_keygen, ssh_line, ssh_signature

KINDS = {
    "ed25519": ("-t", "ed25519"),
    "ecdsa-256": ("-t", "ecdsa", "-b", "256"),
    "ecdsa-384": ("-t", "ecdsa", "-b", "384"),
    "ecdsa-521": ("-t", "ecdsa", "-b", "521"),
    "rsa": ("-t", "rsa", "-b", "3072"),
}
NAME = "host-1.example"


def made(directory: Path, name: str, kind: str = "ed25519") -> str:
    ssh_keygen(*KINDS[kind], "-q", "-N", "", "-C", name, "-f", name, cwd=directory)
    return (directory / f"{name}.pub").read_text().strip()


def certified(directory: Path, *terms: str, name: str = "host", ca: str = "ca") -> str:
    ssh_keygen("-q", "-s", ca, "-I", "host-id", *terms, f"{name}.pub", cwd=directory)
    return (directory / f"{name}-cert.pub").read_text().strip()


def signed(directory: Path, message: bytes, *, key: str = "host", namespace: str = "answerable-enrol") -> str:
    return ssh_keygen("-Y", "sign", "-q", "-n", namespace, "-f", key, cwd=directory, stdin=message).decode()


def now() -> ManualClock:
    return ManualClock(now=int(time.time() * 1000))


def code_of(ask) -> str:
    with pytest.raises(AnswerableError) as told:
        ask()
    return told.value.code


@pytest.mark.requirement("ATTEST-09")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("authority", ["ed25519", "rsa", "ecdsa-256"])
def test_a_host_with_a_certificate_signs_with_ssh_keygen_and_attests(kind, authority, tmp_path):
    made(tmp_path, "host", kind)
    ca = made(tmp_path, "ca", authority)
    line = certified(tmp_path, "-h", "-n", NAME, "-V", "+1h")
    desk = attestor(clock=now(), known_hosts=f"@cert-authority *.example {ca}\n")
    challenge = desk.challenge()
    signature = signed(tmp_path, possession_message(challenge, THUMBPRINT))
    found = desk.ssh(line, signature, challenge, THUMBPRINT)
    mark = ssh_keygen("-l", "-f", "host.pub", cwd=tmp_path).decode().split()[1]
    ca_mark = ssh_keygen("-l", "-f", "ca.pub", cwd=tmp_path).decode().split()[1]
    assert found.selectors == (f"ssh:ca:{ca_mark}", f"ssh:host:{NAME}", f"ssh:key:{mark}")
    assert code_of(lambda: desk.ssh(line, signature, challenge, THUMBPRINT)) == "challenge.used"


@pytest.mark.requirement("ATTEST-09")
@pytest.mark.parametrize("kind", KINDS)
def test_a_known_host_key_signs_with_ssh_keygen_and_attests(kind, tmp_path):
    line = made(tmp_path, "host", kind)
    desk = attestor(clock=now(), known_hosts=f"{NAME} {line}\n")
    challenge = desk.challenge()
    signature = signed(tmp_path, possession_message(challenge, THUMBPRINT))
    assert f"ssh:host:{NAME}" in desk.ssh(line, signature, challenge, THUMBPRINT).selectors


@pytest.mark.requirement("ATTEST-09")
def test_certificates_of_ssh_keygen_that_are_not_a_hosts_are_refused(tmp_path):
    made(tmp_path, "host")
    ca = made(tmp_path, "ca")
    made(tmp_path, "other")
    desk = attestor(clock=now(), known_hosts=f"@cert-authority *.example {ca}\n")
    challenge = desk.challenge()
    signature = signed(tmp_path, possession_message(challenge, THUMBPRINT))
    for terms, code in (
        (("-n", NAME), "ssh.certificate"),
        (("-n", NAME, "-O", "force-command=/bin/true"), "ssh.certificate"),
        (("-h",), "ssh.certificate"),
        (("-h", "-n", "host.elsewhere"), "ssh.certificate"),
        (("-h", "-n", NAME, "-V", "20200101:20200102"), "ssh.expired"),
        (("-h", "-n", NAME, "-V", "20990101:20990102"), "ssh.expired"),
    ):
        line = certified(tmp_path, *terms)
        assert code_of(lambda line=line: desk.ssh(line, signature, challenge, THUMBPRINT)) == code
    line = certified(tmp_path, "-h", "-n", NAME, ca="other")
    assert code_of(lambda: desk.ssh(line, signature, challenge, THUMBPRINT)) == "ssh.unknown"
    line = certified(tmp_path, "-h", "-n", NAME)
    for odd in (
        signed(tmp_path, possession_message(challenge, THUMBPRINT), key="other"),
        signed(tmp_path, possession_message(challenge, THUMBPRINT), namespace="file"),
        signed(tmp_path, possession_message(desk.challenge(), THUMBPRINT)),
    ):
        assert code_of(lambda odd=odd: desk.ssh(line, odd, challenge, THUMBPRINT)) in {
            "ssh.key",
            "ssh.namespace",
            "ssh.signature",
        }
    assert desk.ssh(line, signature, challenge, THUMBPRINT)


@pytest.mark.requirement("ATTEST-09")
def test_an_rsa_authority_that_signs_with_sha1_is_refused(tmp_path):
    made(tmp_path, "host")
    ca = made(tmp_path, "ca", "rsa")
    desk = attestor(clock=now(), known_hosts=f"@cert-authority * {ca}\n")
    challenge = desk.challenge()
    signature = signed(tmp_path, possession_message(challenge, THUMBPRINT))
    line = certified(tmp_path, "-t", "rsa-sha2-256", "-h", "-n", NAME)
    assert desk.ssh(line, signature, challenge, THUMBPRINT)
    challenge = desk.challenge()
    signature = signed(tmp_path, possession_message(challenge, THUMBPRINT))
    line = certified(tmp_path, "-t", "ssh-rsa", "-h", "-n", NAME)
    assert code_of(lambda: desk.ssh(line, signature, challenge, THUMBPRINT)) == "ssh.certificate"


@pytest.mark.requirement("ATTEST-09")
def test_ssh_keygen_reads_our_fingerprints_and_the_signatures_of_our_tests(tmp_path):
    key = edwards_key("host")
    (tmp_path / "host.pub").write_text(ssh_line(key) + "\n")
    assert read_identity(ssh_line(key))
    mark = ssh_keygen("-l", "-f", "host.pub", cwd=tmp_path).decode().split()[1]
    assert mark == fingerprint(key.public_key())
    (tmp_path / "signers").write_text(f"host {ssh_line(key)}\n")
    (tmp_path / "sig").write_text(ssh_signature(key, b"message"))
    arguments = ("-Y", "verify", "-f", "signers", "-I", "host", "-n", "answerable-enrol", "-s", "sig")
    assert b"Good" in ssh_keygen(*arguments, cwd=tmp_path, stdin=b"message")
