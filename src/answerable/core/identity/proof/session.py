"""Sessions: after one signed handshake, each message carries a MAC under a key that both sides derived and never sent.

   POST /session   signed with the agent's key; body {"version":1,"x25519":"<ephemeral public key>"}
   200             {"lifetime_seconds":3600,"session":"<name>","version":1,"x25519":"<ephemeral public key>"}

   key = HKDF-SHA256(secret = X25519(own private, other public),
                     salt   = SHA-256(signature base of the request || 0x00 || body of the answer),
                     info   = "answerable session 1")                                          (RFC 7748, RFC 5869)

Laws: the key depends on every byte that either side signed or sent, so an attacker who changes one byte of the
handshake gets another key; a sequence number is accepted once, within a window, in any order (RFC 4303 section 3.4.3).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.canonical import Limits, encode, parse
from answerable.errors.codes.people import SESSION_MALFORMED

SESSION_TARGET: Final = b"/session"
LIFETIME_SECONDS_MAX: Final = 3600
WINDOW: Final = 1024
"""How far below the highest sequence number a message's number may be."""
EPHEMERAL_BYTES: Final = 32

_VERSION: Final = 1
_INFO: Final = b"answerable session 1"
_MASK: Final = (1 << WINDOW) - 1
_LIMITS: Final = Limits(size_bytes_max=512, depth_max=1)
_BLOCK_BYTES: Final = 64
_NAME_CHARS: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_NAME_LENGTH: Final = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAnswer:
    """The server's answer to a handshake. session: 26 characters. x25519: 32 bytes. lifetime_seconds: 1 to
    `LIFETIME_SECONDS_MAX`."""

    session: str
    x25519: bytes
    lifetime_seconds: int


def ephemeral_public(private: bytes) -> bytes:
    """Return the X25519 public key of 32 fresh random bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def encode_offer(x25519: bytes) -> bytes:
    """Encode the body of the handshake request."""
    return encode({"version": _VERSION, "x25519": to_base64url(x25519)})


def parse_offer(body: bytes) -> bytes:
    """Read the client's ephemeral public key, 32 bytes. Raises Malformed (`session.malformed`, `json.*`)."""
    value = parse(body, limits=_LIMITS)
    if not isinstance(value, dict) or set(value) != {"version", "x25519"} or not _known(value["version"]):
        raise SESSION_MALFORMED("a session offer holds `version` 1 and `x25519`, nothing else")
    return _public(value["x25519"])


def encode_answer(answer: SessionAnswer) -> bytes:
    """Encode the body of the handshake answer. The key depends on it, so it must reach the client byte for byte."""
    return encode(
        {
            "lifetime_seconds": answer.lifetime_seconds,
            "session": answer.session,
            "version": _VERSION,
            "x25519": to_base64url(answer.x25519),
        }
    )


def parse_answer(body: bytes) -> SessionAnswer:
    """Read the body of the handshake answer. Raises Malformed (`session.malformed`, `json.*`)."""
    value = parse(body, limits=_LIMITS)
    if not isinstance(value, dict) or set(value) != {"lifetime_seconds", "session", "version", "x25519"}:
        raise SESSION_MALFORMED("the session answer has unknown or missing members")
    lifetime, session = value["lifetime_seconds"], value["session"]
    if not _known(value["version"]) or type(lifetime) is not int or not 0 < lifetime <= LIFETIME_SECONDS_MAX:
        raise SESSION_MALFORMED("the session answer has another version or no lifetime")
    if not isinstance(session, str) or len(session) != _NAME_LENGTH or not _NAME_CHARS.issuperset(session):
        raise SESSION_MALFORMED("the session answer names no session")
    return SessionAnswer(session=session, x25519=_public(value["x25519"]), lifetime_seconds=lifetime)


def derive_key(*, private: bytes, public: bytes, signature_base: bytes, answer: bytes) -> bytes:
    """Derive the session key, 32 bytes, from the own private and the other side's public ephemeral key.

    Raises Malformed (`session.malformed`) for a public key of low order, which would make the secret public.
    """
    try:
        secret = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError:
        raise SESSION_MALFORMED("`x25519` is not a usable public key") from None
    salt = sha256(signature_base + b"\x00" + answer).digest()
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=_INFO).derive(secret)


class SessionKey:
    """HMAC-SHA256 (RFC 2104) under one key, with both pads hashed once. Its repr reveals nothing."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(_BLOCK_BYTES, b"\x00")
        self._inner = sha256(bytes(octet ^ 0x36 for octet in padded))
        self._outer = sha256(bytes(octet ^ 0x5C for octet in padded))

    def mac(self, message: bytes) -> bytes:
        """Return the MAC, 32 bytes."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def accepts(self, message: bytes, mac: bytes) -> bool:
        """Whether `mac` is correct. Compared in constant time."""
        return hmac.compare_digest(self.mac(message), mac)


class SequenceWindow:
    """The accepted sequence numbers of one session. Not thread-safe: the caller holds a lock."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = 0
        # Bit n represents the number that is n below the highest.
        self._seen = 1

    def accept(self, sequence: int) -> bool:
        """Whether the number is new: True once for each number from 1 on; False if it was accepted before, or lies
        `WINDOW` or more below the highest."""
        ahead = sequence - self._highest
        if ahead > 0:
            self._seen = ((self._seen << ahead) | 1) & _MASK if ahead < WINDOW else 1
            self._highest = sequence
            return True
        if ahead <= -WINDOW:
            return False
        bit = 1 << -ahead
        if self._seen & bit:
            return False
        self._seen |= bit
        return True


def _known(version: object) -> bool:
    return type(version) is int and version == _VERSION


def _public(text: object) -> bytes:
    octets = from_base64url_32(text) if isinstance(text, str) else None
    if octets is None:
        raise SESSION_MALFORMED("`x25519` must be 32 bytes in base64url without padding")
    return octets
