"""Checkpoints (C2SP tlog-checkpoint): the note text that states a log's size and root.

Laws:
- what parses is written back byte for byte;
- a checkpoint is trusted only as `verified_checkpoint` returns it: signed by a key of that log, for that
  origin.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from answerable.core.tlog.merkle import EMPTY_ROOT, HASH_BYTES, SIZE_MAX
from answerable.core.tlog.note import Note, VerifierKey, base64_decoded, require_text
from answerable.errors import Malformed, Unverified, shown

EXTENSION_LINES_MAX: Final = 16

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,19}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's `origin`, `size` in leaves, 32-byte `root`, and `extensions`: opaque lines, best empty."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or any(c < " " or "\ud800" <= c <= "\udfff" for c in line):
                raise Malformed(f"not a checkpoint line: {shown(line)}", code="checkpoint.line")
        if len(self.extensions) > EXTENSION_LINES_MAX:
            raise Malformed(
                f"{len(self.extensions)} extension lines, expected at most {EXTENSION_LINES_MAX}",
                code="checkpoint.line",
            )
        if not 0 <= self.size <= SIZE_MAX:
            raise Malformed(f"tree size {self.size} out of range", code="checkpoint.size")
        if len(self.root) != HASH_BYTES:
            raise Malformed(f"root of {len(self.root)} bytes, expected {HASH_BYTES}", code="checkpoint.root")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise Malformed("empty tree with the root of another", code="checkpoint.root")

    def text(self) -> bytes:
        """The note text to sign."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a note text. Proves nothing by itself. Raises Malformed."""
        lines = require_text(text)[:-1].split("\n", 4 + EXTENSION_LINES_MAX)
        if len(lines) < 3:
            raise Malformed(f"checkpoint of {len(lines)} lines, expected at least 3", code="checkpoint.line")
        return cls(
            origin=lines[0],
            size=decimal(lines[1], what="tree size"),
            root=base64_decoded(lines[2], what="root hash"),
            extensions=tuple(lines[3:]),
        )


def verified_checkpoint(encoded: bytes, *, origin: str, log_keys: Iterable[VerifierKey]) -> Checkpoint:
    """Read a signed checkpoint that a log called `origin` must have signed with one of `log_keys`.

    Raises Malformed, or Unverified with the steps of `Note.verify` and `checkpoint.origin`. Says nothing
    about cosignatures: give it keys of the log only, never those of witnesses.
    """
    note = Note.parse(encoded)
    note.verify(log_keys)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise Unverified(
            f"checkpoint of {shown(checkpoint.origin)}, expected {shown(origin)}",
            code="checkpoint.origin_mismatch",
            step="checkpoint.origin",
        )
    return checkpoint


def decimal(text: str, *, what: str) -> int:
    """Read an ASCII decimal without leading zeros, at most 2**64 - 1. Raises Malformed."""
    number = int(text) if _DECIMAL.fullmatch(text) else -1
    if not 0 <= number <= SIZE_MAX:
        raise Malformed(f"{what} is not a number below 2**64: {shown(text)}", code="tlog.decimal")
    return number
