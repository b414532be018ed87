"""Build ledger entries: a leaf that goes into the Merkle tree, and an attachment that stays outside it.

Laws: a leaf holds metadata, salted digests of the disclosable fields and pseudonyms, never arguments, results, free
text or names of people; it is RFC 8785 JSON without floats, hashed as stored, at most `LEAF_BYTES_MAX` bytes; the
fields are the attachment, encrypted for their subject, and the leaf's `payload` is SHA-256 over its bytes, hex.

Leaves of version 1, whose attachment is salt and plain text, can still be read (`opened_payload`).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import encode_ledger
from answerable.core.ledger.disclosure import Section, sealed_fields, sealed_sections
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.ledger import (
    LEDGER_LEAF_TOO_LARGE,
    LEDGER_PAYLOAD_MISMATCH,
    LEDGER_RESERVED_MEMBER,
    LEDGER_UNSEALED,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.batch_head import BatchHead, ReceivedHead
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.runs import Run
    from answerable.errors import Broken

LEAF_BYTES_MAX: Final = 10_240
"""4 KiB hold any leaf except that of an action with many delegation hops, each of which needs up to 320 bytes."""
SALT_BYTES: Final = 16
"""Length of the salt before the text of a version 1 attachment."""
LEAF_VERSION: Final = 2
FIRST_LEAF_VERSION: Final = 1
RESERVED_MEMBERS: Final = frozenset({"v", "tag", "at", "payload", "run", "_sd"})
"""Members that `sealed_entry` writes itself: a field with such a name would change the meaning of the entry."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry to be appended. leaf: canonical bytes. attachment: what `SubjectKey.sealed` made of the fields, or
    empty."""

    tag: Tag
    leaf: bytes
    attachment: bytes


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry as read back. tag: possibly one that this version does not know. leaf_hash: RFC 6962, 32 bytes."""

    index: int
    tag: int
    leaf: bytes
    attachment: bytes
    leaf_hash: bytes


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """States that the entry is durable at `index`. An inclusion proof additionally needs a checkpoint.

    head: the log's state after the batch of this entry, signed on request; None where this process did not write the
    entry.
    """

    index: int
    leaf_hash: bytes
    head: BatchHead | ReceivedHead | None = None


def sealed_entry(
    tag: Tag,
    *,
    at: UnixMillis,
    members: dict[str, JSONValue],
    fields: Sequence[Field] = (),
    sealing: Sealing | None = None,
    run: Run | None = None,
    others: Sequence[Section] = (),
    inner: Sequence[Section] = (),
) -> Entry:
    """Build an entry. `members` go into the leaf beside those that every leaf has, `fields` are sealed.

    sealing: needed exactly when there are fields. others, inner: fields for other subjects, as in `sealed_sections`.
    Raises Broken (`ledger.leaf_too_large`, `ledger.unsealed`, and `ledger.reserved_member` for a member with a name
    that every leaf has).
    """
    if not RESERVED_MEMBERS.isdisjoint(members):
        names = ", ".join(sorted(RESERVED_MEMBERS & members.keys()))
        raise LEDGER_RESERVED_MEMBER(f"members of an entry cannot set {names}")
    leaf: dict[str, JSONValue] = {"v": LEAF_VERSION, "tag": int(tag), "at": at, **members}
    attachment = b""
    if fields:
        if sealing is None:
            raise LEDGER_UNSEALED()
        sections = (Section(fields, sealing), *others)
        if any(name.decode() in leaf for one in (*sections, *inner) for name, _ in one.fields):
            raise LEDGER_RESERVED_MEMBER("a field has the name of a member of its leaf")
        is_one = not others and not inner
        digests, attachment = sealed_fields(fields, sealing) if is_one else sealed_sections(sections, inner)
        leaf["_sd"] = [*digests]
        leaf["payload"] = hashlib.sha256(attachment).hexdigest()
    if run is not None:
        leaf["run"] = {"id": run.id, "prev": run.prev, "seq": run.seq}
    return entry_of(tag, encode_ledger(leaf), attachment)


def entry_of(tag: Tag, leaf: bytes, attachment: bytes) -> Entry:
    """Build an entry from a canonical leaf. Raises Broken (`ledger.leaf_too_large`)."""
    if len(leaf) > LEAF_BYTES_MAX:
        raise leaf_too_large(leaf)
    return Entry(tag=tag, leaf=leaf, attachment=attachment)


def leaf_too_large(leaf: bytes) -> Broken:
    """Return the error for a leaf longer than `LEAF_BYTES_MAX`."""
    return LEDGER_LEAF_TOO_LARGE(f"a leaf is at most {LEAF_BYTES_MAX} bytes, got {len(leaf)}")


def opened_payload(attachment: bytes, *, committed: str) -> bytes:
    """Return the version 1 payload after its salt, checked against the leaf's commitment (hex).

    Raises Unverified (`ledger.payload_mismatch`).
    """
    if not hmac.compare_digest(hashlib.sha256(attachment).hexdigest(), committed):
        raise LEDGER_PAYLOAD_MISMATCH()
    return attachment[SALT_BYTES:]
