"""What the sidecar shows when it enrols, as the server reads it."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from answerable.apps.sidecar import attesting
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.workload.attestation import possession_message
from answerable.core.identity.workload.ssh_host import ssh_trust, verified_ssh_host
from answerable.core.identity.workload.x509_pop import verified_x509_pop
from answerable.errors import Malformed, Unavailable
from answerable.sdk.enrolment import Challenge

CHALLENGE = Challenge(text="c", attestation="challenge-1", domain=trust_domain("example.test"))
NOW = datetime.now(UTC)


def certificate(key: Any, signer: Any, issuer: str, *, ca: bool) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host-1" if not ca else issuer)])
    issued_by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    usage = x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(issued_by).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(minutes=5)).not_valid_after(NOW + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )  # fmt: skip
    if not ca:
        uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:example:host-1")])
        builder = builder.add_extension(uri, critical=False)
    return builder.sign(signer, hashes.SHA256())


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "ed25519"])
def test_a_certificate_is_shown_with_a_signature_that_the_server_takes(tmp_path: Path, kind: str) -> None:
    key: Any = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = certificate(authority_key, authority_key, "authority", ca=True)
    leaf = certificate(key, authority_key, "authority", ca=False)
    (tmp_path / "cert.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    shows = attesting.by_certificate(f"file:{tmp_path / 'cert.pem'}", f"file:{tmp_path / 'key.pem'}")
    document: Any = shows(CHALLENGE, "thumbprint")
    selectors = verified_x509_pop(
        [b64decode(one) for one in document["chain"]],
        signature=b64decode(document["signature"]),
        message=possession_message("challenge-1", "thumbprint"),
        authorities=[authority],
        now=UnixMillis(int(NOW.timestamp() * 1000)),
    )
    assert "x509_pop:cn:host-1" in selectors


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")
def test_a_host_key_is_shown_with_a_signature_that_the_server_takes(tmp_path: Path) -> None:
    path = tmp_path / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    document: Any = attesting.by_ssh_host_key(f"file:{path}")(CHALLENGE, "thumbprint")
    public = path.with_name("host.pub").read_text().split()
    trust = ssh_trust(f"host-1 {public[0]} {public[1]}\n")
    selectors = verified_ssh_host(
        document["identity"],
        signature=document["signature"],
        message=possession_message("challenge-1", "thumbprint"),
        trust=trust,
        now=UnixMillis(int(NOW.timestamp() * 1000)),
    )
    assert "ssh:host:host-1" in selectors


def test_secrets_are_named_by_file_and_read_when_they_are_needed(tmp_path: Path) -> None:
    shows = attesting.by_join_token(f"file:{tmp_path / 'token'}")
    with pytest.raises(Unavailable):
        shows(CHALLENGE, "t")
    (tmp_path / "token").write_text("ajt_x\n")
    assert shows(CHALLENGE, "t") == {"type": "join_token", "token": "ajt_x"}
    for value in ("ajt_secret", "file:", "env:TOKEN"):
        with pytest.raises(Malformed) as error:
            attesting.by_oidc_token(value)
        assert "secret" not in error.value.message
