"""Batch heads: a signed statement of the log's state, returned with an entry before any checkpoint covers the entry.

    answerable batch head v2
    <origin>
    <size: entries in the log up to the end of the batch>
    <chain value after them, base64>
    <Unix milliseconds>

Signed as a C2SP signed note by the log's Ed25519 key, under the key name `<origin>/batch-head`.

Laws:
- a batch has one head and at most one signature, made on first request;
- a head does not exist before its batch is durable: requesting it earlier is a bug, not an empty answer.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.tlog.merkle import HASH_BYTES
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.core.tlog.text import base64_decoded, decimal
from answerable.errors import shown
from answerable.errors.codes.ledger import LEDGER_BATCH_OPEN
from answerable.errors.codes.tlog import BATCH_HEAD_LINE, BATCH_HEAD_ORIGIN_MISMATCH, BATCH_HEAD_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER: Final = "answerable batch head v2"
NOTE_BYTES_MAX: Final = 4096
_LINES: Final = 5


class HeadFields(NamedTuple):
    """Content of a batch head: `size` entries of the log `origin`, the chain value after them, and the
    wall clock then."""

    origin: str
    size: int
    chain: bytes
    at: int

    def text(self) -> bytes:
        """Return the note text to sign."""
        lines = (HEADER, self.origin, str(self.size), b64encode(self.chain).decode(), str(self.at))
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> HeadFields:
        """Parse a note text. Verifies nothing. Raises Malformed (`batch_head.line`, among others)."""
        lines = text.decode("utf-8", "replace").split("\n")
        if len(lines) != _LINES + 1 or lines[0] != HEADER or lines[-1]:
            raise BATCH_HEAD_LINE(f"not a batch head: {shown(lines[0])}")
        chain = base64_decoded(lines[3], what="chain value")
        if len(chain) != HASH_BYTES:
            raise BATCH_HEAD_LINE(f"chain value of {len(chain)} bytes, expected {HASH_BYTES}")
        fields = cls(
            origin=lines[1],
            size=decimal(lines[2], what="size"),
            chain=chain,
            at=decimal(lines[4], what="time"),
        )
        if fields.text() != text:
            raise BATCH_HEAD_LINE("batch head is not in its one form")
        return fields


class BatchHead:
    """The head of one batch, shared by the receipts of all its entries. sign: as for checkpoints.

    The ledger calls `fixed` once, when the batch is durable.
    """

    __slots__ = ("_fields", "_key", "_note", "_sign")

    def __init__(self, key: VerifierKey, sign: Callable[[bytes], bytes]) -> None:
        self._key, self._sign = key, sign
        self._fields: HeadFields | None = None
        self._note: bytes | None = None

    @property
    def fields(self) -> HeadFields:
        """The content. Raises Broken (`ledger.batch_open`) before the batch is durable."""
        if self._fields is None:
            raise LEDGER_BATCH_OPEN()
        return self._fields

    def fixed(self, *, origin: str, size: int, chain: bytes, at: int) -> None:
        """Set the content, now that the batch is durable."""
        self._fields = HeadFields(origin, size, chain, at)

    def signed(self) -> bytes:
        """Return the head as a signed note, the same bytes every time. Raises Broken (`ledger.batch_open`)."""
        if self._note is None:
            self._note = signed_note(self.fields.text(), key=self._key, sign=self._sign).encoded()
        return self._note


class ReceivedHead:
    """The head of a batch in another process's log, as received. Proves nothing until it is verified."""

    __slots__ = ("_note",)

    def __init__(self, note: bytes) -> None:
        self._note = note

    def signed(self) -> bytes:
        """Return the signed note as received."""
        return self._note


def batch_head_key(log_key: VerifierKey) -> VerifierKey:
    """Return the log's key under the name that batch heads are signed with."""
    return VerifierKey.ed25519(f"{log_key.name}/batch-head", log_key.public)


def verified_batch_head(note: bytes, *, key: VerifierKey) -> HeadFields:
    """Parse a batch head and verify that the log with this key signed it. key: the log's checkpoint key.

    Raises Malformed, or Unverified with the steps of `Note.verify` and `batch_head.origin`.
    """
    if len(note) > NOTE_BYTES_MAX:
        raise BATCH_HEAD_SIZE(f"batch head of {len(note)} bytes, expected at most {NOTE_BYTES_MAX}")
    parsed = Note.parse(note)
    parsed.verify((batch_head_key(key),))
    fields = HeadFields.parse(parsed.text)
    if fields.origin != key.name:
        raise BATCH_HEAD_ORIGIN_MISMATCH(f"batch head of {shown(fields.origin)}, expected {shown(key.name)}")
    return fields
