"""Entries: a leaf that goes into the tree, and a payload that stays outside it.

Laws: a leaf holds metadata and a salted commitment to the payload, never arguments, results, free text or personal
values; the leaf is RFC 8785 JSON without floats, hashed as stored, at most 4 KiB; payload bytes are stored behind 16
salt bytes and the leaf's `payload` is SHA-256 over both, hex.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import encode_ledger
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Unverified

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.principal import UnixMillis

LEAF_BYTES_MAX: Final = 4096
SALT_BYTES: Final = 16
LEAF_VERSION: Final = 1
RESERVED_MEMBERS: Final = frozenset({"v", "tag", "at", "payload"})
"""What `sealed_entry` writes itself: a field of such a name would change what the entry is."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """leaf: canonical bytes. attachment: salt followed by payload bytes, or empty."""

    tag: Tag
    leaf: bytes
    attachment: bytes


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry as read back. tag may be one this version does not know. leaf_hash: RFC 6962, 32 bytes."""

    index: int
    tag: int
    leaf: bytes
    attachment: bytes
    leaf_hash: bytes


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The entry is durable at `index`. It says nothing about being provable; that takes a checkpoint."""

    index: int
    leaf_hash: bytes


def sealed_entry(
    tag: Tag, *, at: UnixMillis, fields: dict[str, JSONValue], payload: bytes = b"", salt: bytes = b""
) -> Entry:
    """Build an entry. `fields` become leaf members beside `v`, `tag`, `at` and, with a payload, `payload`.

    salt: SALT_BYTES random bytes, needed exactly when there is a payload. Raises Broken (`ledger.leaf_too_large`, and
    `ledger.reserved_member` for a field of one of those four names).
    """
    if not RESERVED_MEMBERS.isdisjoint(fields):
        names = ", ".join(sorted(RESERVED_MEMBERS & fields.keys()))
        raise Broken(f"fields of an entry cannot set {names}", code="ledger.reserved_member")
    leaf_value: dict[str, JSONValue] = {"v": LEAF_VERSION, "tag": int(tag), "at": at, **fields}
    attachment = b""
    if payload:
        attachment, leaf_value["payload"] = committed(payload, salt=salt)
    return entry_of(tag, encode_ledger(leaf_value), attachment)


def committed(payload: bytes, *, salt: bytes) -> tuple[bytes, str]:
    """The attachment that keeps a payload, and the leaf's commitment to it (hex). Raises Broken (`ledger.salt`)."""
    if len(salt) != SALT_BYTES:
        raise Broken(f"a payload needs {SALT_BYTES} salt bytes, got {len(salt)}", code="ledger.salt")
    attachment = salt + payload
    return attachment, hashlib.sha256(attachment).hexdigest()


def entry_of(tag: Tag, leaf: bytes, attachment: bytes) -> Entry:
    """An entry from a canonical leaf. Raises Broken (`ledger.leaf_too_large`)."""
    if len(leaf) > LEAF_BYTES_MAX:
        raise Broken(
            f"a leaf is at most {LEAF_BYTES_MAX} bytes, got {len(leaf)}", code="ledger.leaf_too_large"
        )
    return Entry(tag=tag, leaf=leaf, attachment=attachment)


def opened_payload(attachment: bytes, *, committed: str) -> bytes:
    """The payload behind its salt, checked against the leaf's commitment (hex).

    Raises Unverified (`ledger.payload_mismatch`).
    """
    if not hmac.compare_digest(hashlib.sha256(attachment).hexdigest(), committed):
        raise Unverified(
            "the payload is not the one its leaf commits to", code="ledger.payload_mismatch", step="payload"
        )
    return attachment[SALT_BYTES:]
