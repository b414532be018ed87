"""Client certificates of the broker's, and whose server certificates count, in real handshakes."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from answerable.adapters.http_target.kind import HttpTargetSettings, built, faults_of
from answerable.core.canonical import freeze
from answerable.errors import Unavailable
from answerable.targets.kind import BuiltTarget
from tests.stand_ins.resource_server import Seen, resource_server
from tests.worlds.http_target import Secrets, asked, order, world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HTTPLEASE-06")]

ANY = freeze({"requests": [{"methods": ["GET"], "path": "/a"}]})


KEY_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Certifies whom a test names."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = self._signed(self._name, self._key, authority=True).public_bytes(Encoding.PEM)

    def certified(self, name: str, *, by_the_book: bool = True) -> tuple[bytes, bytes]:
        """by_the_book: whether it says whose key signed it, as RFC 5280 (section 4.2.1.1) demands."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._signed(subject, key, by_the_book=by_the_book).public_bytes(Encoding.PEM), private

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool = False,
        by_the_book: bool = True,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if authority:
            builder = builder.add_extension(KEY_SIGNS, critical=True)
        if by_the_book:
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(issuer, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def served(folder: Path, authority: Authority, *, clients: bytes = b"") -> ssl.SSLContext:
    certificate, key = authority.certified("server")
    (folder / "server.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    if clients:
        context.load_verify_locations(cadata=clients.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def target_at(url: str, secrets: Secrets, **more: str) -> BuiltTarget:
    settings = HttpTargetSettings(
        base_url=url,
        auth="mtls",
        certificate="file:certificate",
        certificate_key="file:certificate_key",
        authorities="file:authorities",
    )
    assert not faults_of(settings)
    return built(settings, world(secrets))


def _opened() -> Iterator[str]:
    """What the descriptors of this process lead to. Another thread may close one meanwhile."""
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{number}")


def anybody(seen: Seen) -> str:
    return "read:case"


async def test_a_server_that_asks_for_a_certificate_lets_ours_in_and_no_other(tmp_path: Path) -> None:
    ours, theirs = Authority("ours"), Authority("theirs")
    certificate, key = ours.certified("broker")
    secrets = Secrets(
        {"file:certificate": certificate, "file:certificate_key": key, "file:authorities": ours.pem}
    )
    with resource_server(anybody, tls=served(tmp_path, ours, clients=ours.pem)) as api:
        target = target_at(api.url, secrets)
        credential = await target.issuer.issue(order(scope=ANY))
        found = await asked(target, credential, "/a")
        assert found["status"] == 200
        assert key.decode() not in repr(found)
        opened = list(_opened())
        assert opened
        assert not [one for one in opened if "memfd" in one], "nothing that holds the key stays open"
        secrets["file:certificate"], secrets["file:certificate_key"] = theirs.certified("broker")
        with pytest.raises(Unavailable):
            await asked(target, credential, "/a")
        secrets["file:certificate"], secrets["file:certificate_key"] = certificate, theirs.certified("x")[1]
        with pytest.raises(Unavailable) as odd:
            await asked(target, credential, "/a")
        assert odd.value.effect == "none"


async def test_a_server_that_others_certified_is_not_spoken_to(tmp_path: Path) -> None:
    ours, theirs = Authority("ours"), Authority("theirs")
    certificate, key = ours.certified("broker")
    secrets = Secrets(
        {"file:certificate": certificate, "file:certificate_key": key, "file:authorities": ours.pem}
    )
    with resource_server(anybody, tls=served(tmp_path, theirs)) as api:
        target = target_at(api.url, secrets)
        credential = await target.issuer.issue(order(scope=ANY))
        with pytest.raises(Unavailable) as refused:
            await asked(target, credential, "/a")
        assert (refused.value.code, refused.value.effect) == ("target.unreachable", "none")
        assert "its certificate is not accepted: unable to get local issuer certificate" in str(refused.value)
        assert not api.seen


async def test_a_chain_that_only_earlier_pythons_take_is_refused_with_the_reason(tmp_path: Path) -> None:
    ours = Authority("ours")
    certificate, key = ours.certified("broker")
    secrets = Secrets(
        {"file:certificate": certificate, "file:certificate_key": key, "file:authorities": ours.pem}
    )
    served_certificate, served_key = ours.certified("server", by_the_book=False)
    (tmp_path / "odd.pem").write_bytes(served_certificate + served_key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "odd.pem")
    with resource_server(anybody, tls=context) as api:
        target = target_at(api.url, secrets)
        credential = await target.issuer.issue(order(scope=ANY))
        if sys.version_info < (3, 13):
            assert (await asked(target, credential, "/a"))["status"] == 200
        else:
            with pytest.raises(Unavailable) as refused:
                await asked(target, credential, "/a")
            assert "Missing Authority Key Identifier" in str(refused.value)
            assert not api.seen
