"""A push service and a browser's side of it, written from RFC 8030, 8188, 8291 and 8292 with nothing of ours."""

from __future__ import annotations

import json
import ssl
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.worlds.token_server import Said, Seen, Server, serving


def b64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class Browser:
    """A subscription's private side."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    secret: bytes = bytes(range(16))

    @property
    def key(self) -> bytes:
        return point(self.private.public_key())

    def decrypted(self, body: bytes) -> bytes:
        salt, (size, length) = body[:16], struct.unpack("!LB", body[16:21])
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert length == 65
        assert len(sealed) <= size
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.private.exchange(ec.ECDH(), theirs)

        def derived(material: bytes, with_salt: bytes, info: bytes, count: int) -> bytes:
            return HKDF(SHA256(), count, with_salt, info).derive(material)

        material = derived(shared, self.secret, b"WebPush: info\x00" + self.key + sender, 32)
        content_key = derived(material, salt, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = derived(material, salt, b"Content-Encoding: nonce\x00", 12)
        padded = AESGCM(content_key).decrypt(nonce, sealed, b"")
        content = padded.rstrip(b"\x00")
        assert content[-1:] == b"\x02"
        return content[:-1]


@dataclass
class PushService:
    """Takes messages for one browser, and checks what a real one checks."""

    server: Server
    browser: Browser
    origin: str
    answers: list[Said] = field(default_factory=list)
    taken: list[tuple[Seen, dict[str, Any]]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    @property
    def endpoint(self) -> str:
        return self.origin + "/send/1"

    @property
    def host(self) -> str:
        """As `channels.push_hosts` lists it."""
        return self.origin.removeprefix("https://")

    def __call__(self, seen: Seen) -> Said:
        scheme, _, rest = seen.headers["authorization"].partition(" ")
        assert scheme == "vapid"
        given = dict(one.strip().split("=", 1) for one in rest.split(","))
        claims = verified(given["t"], unb64(given["k"]))
        self.keys.add(given["k"])
        assert claims["aud"] == self.origin
        assert claims["sub"] == "mailto:ops@example.com"
        assert time.time() < claims["exp"] <= time.time() + 86_400
        assert seen.headers["content-encoding"] == "aes128gcm"
        assert seen.headers["ttl"].isdigit()
        assert len(seen.headers["topic"]) <= 32
        assert seen.headers["urgency"] in ("very-low", "low", "normal", "high")
        assert len(seen.body) <= 4_096
        if self.answers:
            return self.answers.pop(0)
        self.taken.append((seen, json.loads(self.browser.decrypted(seen.body))))
        return Said(status=201)


@contextmanager
def push_service(context: ssl.SSLContext, browser: Browser | None = None) -> Iterator[PushService]:
    """Over TLS on loopback; `endpoint` is the address of the browser's subscription."""
    with serving() as server:
        server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
        origin = server.url.replace("http://", "https://")
        made = PushService(server, browser or Browser(), origin)
        server.answers["/send/1"] = made
        yield made
        assert not server.faults


def verified(token: str, key: bytes) -> dict[str, Any]:
    """The claims of an ES256 token under this point."""
    header, claims, signature = token.split(".")
    assert json.loads(unb64(header))["alg"] == "ES256"
    raw = unb64(signature)
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    public.verify(pair, f"{header}.{claims}".encode(), ec.ECDSA(SHA256()))
    found: dict[str, Any] = json.loads(unb64(claims))
    return found
