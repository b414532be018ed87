"""Encode and parse requests to witnesses (C2SP tlog-witness, add-checkpoint): the bytes of a body, without HTTP.

Laws:
- what parses is written back byte for byte;
- only the form is checked: the witness verifies that the checkpoint is signed and extends the old one.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from answerable.core.tlog.merkle import HASH_BYTES, SIZE_MAX
from answerable.core.tlog.note import NOTE_BYTES_MAX, Note
from answerable.core.tlog.text import base64_decoded, decimal
from answerable.errors import shown
from answerable.errors.codes.tlog import (
    PROOF_HASH_LENGTH,
    PROOF_LENGTH,
    WITNESS_OLD_SIZE,
    WITNESS_REQUEST,
    WITNESS_REQUEST_SIZE,
)

WITNESS_PROOF_HASHES_MAX: Final = 63
HEAD_BYTES_MAX: Final = len("old \n\n") + 20 + 45 * WITNESS_PROOF_HASHES_MAX
BODY_BYTES_MAX: Final = HEAD_BYTES_MAX + NOTE_BYTES_MAX

_OLD: Final = "old "


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A signed `checkpoint`, verbatim, with the `proof` from the tree of `old_size`; no hashes from size 0."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.old_size <= SIZE_MAX:
            raise WITNESS_OLD_SIZE(f"old size {self.old_size} out of range")
        if len(self.proof) > WITNESS_PROOF_HASHES_MAX:
            raise PROOF_LENGTH(
                f"proof of {len(self.proof)} hashes, expected at most {WITNESS_PROOF_HASHES_MAX}"
            )
        for one in self.proof:
            if len(one) != HASH_BYTES:
                raise PROOF_HASH_LENGTH(f"hash of {len(one)} bytes, expected {HASH_BYTES}")
        Note.parse(self.checkpoint)

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a body of at most `BODY_BYTES_MAX` bytes. Raises Malformed."""
        if len(body) > BODY_BYTES_MAX:
            raise WITNESS_REQUEST_SIZE(f"request of {len(body)} bytes, expected at most {BODY_BYTES_MAX}")
        blank = body.find(b"\n\n", 0, HEAD_BYTES_MAX)
        if blank < 0:
            raise WITNESS_REQUEST("request without an empty line before the checkpoint")
        try:
            old, *hashes = body[:blank].decode("ascii").split("\n")
        except UnicodeDecodeError as fault:
            raise WITNESS_REQUEST(f"request is not ascii: at byte {fault.start}") from None
        if not old.startswith(_OLD):
            raise WITNESS_REQUEST(f"not an old size line: {shown(old)}")
        return cls(
            old_size=decimal(old.removeprefix(_OLD), what="old size"),
            proof=tuple(base64_decoded(line, what="hash") for line in hashes),
            checkpoint=body[blank + 2 :],
        )

    def encoded(self) -> bytes:
        """Return the bytes that `parse` reads."""
        lines = (f"{_OLD}{self.old_size}", *(b64encode(one).decode() for one in self.proof))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint
