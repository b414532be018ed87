"""Read and verify checkpoints (C2SP tlog-checkpoint): the note text that states a log's size and root.

Laws:
- what parses is written back byte for byte;
- a checkpoint is trusted only as returned by `verified_checkpoint`: signed by a key of that log, for that origin.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from answerable.core.tlog.cosigned import tree_head_of
from answerable.core.tlog.merkle import EMPTY_ROOT, HASH_BYTES, SIZE_MAX
from answerable.core.tlog.note import ED25519, Note, VerifierKey
from answerable.errors import shown
from answerable.errors.codes.tlog import (
    CHECKPOINT_EXTENSIONS_UNSIGNED,
    CHECKPOINT_LINE,
    CHECKPOINT_ORIGIN_MISMATCH,
    CHECKPOINT_ROOT,
    CHECKPOINT_SIZE,
)

EXTENSION_LINES_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's `origin`, `size` in leaves, 32-byte `root`, and `extensions`: opaque lines, preferably none."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or any(c < " " or "\ud800" <= c <= "\udfff" for c in line):
                raise CHECKPOINT_LINE(f"not a checkpoint line: {shown(line)}")
        if len(self.extensions) > EXTENSION_LINES_MAX:
            raise CHECKPOINT_LINE(
                f"{len(self.extensions)} extension lines, expected at most {EXTENSION_LINES_MAX}"
            )
        if not 0 <= self.size <= SIZE_MAX:
            raise CHECKPOINT_SIZE(f"tree size {self.size} out of range")
        if len(self.root) != HASH_BYTES:
            raise CHECKPOINT_ROOT(f"root of {len(self.root)} bytes, expected {HASH_BYTES}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CHECKPOINT_ROOT("empty tree with the root of another")

    def text(self) -> bytes:
        """Return the note text to sign."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a note text without verifying it. Raises Malformed."""
        origin, size, root = tree_head_of(text)
        extensions = text[:-1].decode().split("\n", 4 + EXTENSION_LINES_MAX)[3:]
        return cls(origin=origin, size=size, root=root, extensions=tuple(extensions))


def verified_checkpoint(encoded: bytes, *, origin: str, log_keys: Iterable[VerifierKey]) -> Checkpoint:
    """Read a checkpoint that must be signed for the log `origin` with one of `log_keys`.

    Raises Malformed, or Unverified with the steps of `Note.verify`, `checkpoint.origin`, and `checkpoint.extensions`
    for extension lines that no Ed25519 signature covers. Cosignatures are not checked: pass keys of the log only, never
    those of witnesses.
    """
    return checkpoint_in(Note.parse(encoded), origin=origin, log_keys=log_keys)


def checkpoint_in(note: Note, *, origin: str, log_keys: Iterable[VerifierKey]) -> Checkpoint:
    """Verify the checkpoint in a parsed note, as `verified_checkpoint` does."""
    signers = note.verify(log_keys)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise CHECKPOINT_ORIGIN_MISMATCH(
            f"checkpoint of {shown(checkpoint.origin)}, expected {shown(origin)}"
        )
    if checkpoint.extensions and all(signer.kind != ED25519 for signer in signers):
        raise CHECKPOINT_EXTENSIONS_UNSIGNED()
    return checkpoint
