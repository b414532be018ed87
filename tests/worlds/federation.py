"""Foreign trust domains and their bundle endpoints, on loopback, made by hand: nothing of ours vouches for ours."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import time
from base64 import b64encode, urlsafe_b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from answerable.adapters.bundle_http import HttpBundleEndpoint
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.svid.federation import federation_source
from answerable.core.identity.svid.trust_bundle import TrustBundle, parse_bundle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

HOUR = timedelta(hours=1)
SERVER_PATH = "/bundle-server"


class WallClock:
    """The machine's time: certificates of these tests are checked by OpenSSL, too."""

    def now(self) -> UnixMillis:
        return UnixMillis(int(time.time() * 1000))

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """chain: DER, leaf first."""

    chain: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def pkcs8(self) -> bytes:
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def pem(self) -> tuple[bytes, bytes]:
        chain = b"".join(x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in self.chain)
        return chain, self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """A signing authority of a trust domain, or of the web where it has no name."""

    def __init__(self, domain: str = "") -> None:
        self.domain = domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain or "web authority of a test")])
        usage = _usage(signs=True)
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(subject_name=name, issuer_name=name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - HOUR)
            .not_valid_after(now + 24 * HOUR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        if domain:
            uri = x509.UniformResourceIdentifier(f"spiffe://{domain}")
            builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        self.certificate = builder.sign(self.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def leaf(
        self, *names: str, ends: timedelta = HOUR, begins: timedelta = -HOUR, issuer: x509.Name | None = None
    ) -> Leaf:
        """names: URIs, IP addresses, or DNS names."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(
                subject_name=x509.Name([]), issuer_name=issuer or self.certificate.subject
            )
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        return Leaf(chain=(certificate.public_bytes(Encoding.DER),), key=key)

    def svid(self, path: str = SERVER_PATH, **how: Any) -> Leaf:
        return self.leaf(f"spiffe://{self.domain}{path}", **how)

    def document(
        self, *, sequence: int | None = 1, hint: int | None = 60, kids: tuple[str, ...] = ("jwt-1",)
    ) -> bytes:
        """Its bundle as SPIFFE Trust Domain and Bundle, section 4, writes it."""
        keys: list[dict[str, object]] = [
            {"use": "x509-svid", "x5c": [b64encode(self.der).decode()]} | jwk(self.key.public_key())
        ]
        keys += [{"use": "jwt-svid", "kid": kid} | jwk(self.key.public_key()) for kid in kids]
        document: dict[str, object] = {"keys": keys}
        if sequence is not None:
            document["spiffe_sequence"] = sequence
        if hint is not None:
            document["spiffe_refresh_hint"] = hint
        return json.dumps(document).encode()

    def bundle(self, **how: Any) -> TrustBundle:
        return parse_bundle(self.document(**how), domain=TrustDomain(self.domain))


def jwk(key: ec.EllipticCurvePublicKey) -> dict[str, object]:
    numbers = key.public_numbers()
    x, y = (
        urlsafe_b64encode(one.to_bytes(32, "big")).rstrip(b"=").decode() for one in (numbers.x, numbers.y)
    )
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


@dataclass(kw_only=True)
class Server:
    """A TLS server that answers each request by its path. seen: request heads."""

    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    handshakes: int = 0

    def url(self, path: str = "/bundle.json") -> str:
        return f"https://127.0.0.1:{self.port}{path}"


def answer(body: bytes, *, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def context_of(leaf: Leaf, tmp_path: Path) -> ssl.SSLContext:
    """A server's context as anybody would make one."""
    chain, key = leaf.pem()
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    return context


@asynccontextmanager
async def serving(
    context: ssl.SSLContext | None,
    respond: Callable[[str, asyncio.StreamWriter], Awaitable[None]] | dict[str, bytes],
) -> AsyncIterator[Server]:
    """A server of raw answers, by path or by whatever writes them."""
    server = Server()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server.handshakes += 1
            head = await reader.readuntil(b"\r\n\r\n")
            server.seen.append(head)
            path = head.split()[1].decode()
            if isinstance(respond, dict):
                writer.write(respond.get(path, answer(b"", status="404 Not Found")))
                await writer.drain()
            else:
                await respond(path, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


def spiffe_endpoint(
    domain: str,
    url: str,
    *,
    known: TrustBundle | None = None,
    file: str = "",
    server_id: str = "",
    seconds: float = 10.0,
) -> HttpBundleEndpoint:
    """Our client, profile https_spiffe. known: the bundle held of its own domain."""
    words = [
        domain,
        "https_spiffe",
        url,
        server_id or f"spiffe://{domain}{SERVER_PATH}",
        *([file] if file else []),
    ]
    return HttpBundleEndpoint(
        source=federation_source(" ".join(words)),
        bundle_of=lambda name: known if known is not None and name == known.trust_domain else None,
        clock=WallClock(),
        fetch_seconds_max=seconds,
    )


def web_endpoint(domain: str, url: str, *, ca: str = "", seconds: float = 10.0) -> HttpBundleEndpoint:
    """Our client, profile https_web."""
    return HttpBundleEndpoint(
        source=federation_source(f"{domain} https_web {url} {ca}"),
        bundle_of=lambda _: None,
        clock=WallClock(),
        fetch_seconds_max=seconds,
    )


def _name(text: str) -> x509.GeneralName:
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
