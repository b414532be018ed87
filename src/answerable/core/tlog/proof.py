"""Proof files (C2SP tlog-proof): one text that proves offline that an entry is in a log.

Laws:
- what parses is written back byte for byte;
- `extra` is not authenticated: verification ignores it, and no decision may use it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.cosignature import Cosignature
from answerable.core.tlog.merkle import HASH_BYTES, PROOF_HASHES_MAX, SIZE_MAX, verify_inclusion
from answerable.core.tlog.note import NOTE_BYTES_MAX, Note, VerifierKey
from answerable.core.tlog.policy import Policy, verified_checkpoint_under
from answerable.core.tlog.text import base64_decoded, decimal
from answerable.errors import shown
from answerable.errors.codes.tlog import (
    PROOF_EXTRA,
    PROOF_HASH_LENGTH,
    PROOF_HEADER,
    PROOF_INDEX_RANGE,
    PROOF_LENGTH,
    PROOF_LINE,
    PROOF_SIZE,
)

HEADER: Final = "c2sp.org/tlog-proof@v1"
EXTRA_BYTES_MAX: Final = 65_536
PROOF_BYTES_MAX: Final = NOTE_BYTES_MAX + 2 * EXTRA_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof: entry `index`, inclusion `hashes` from the leaf's sibling upwards, and the signed `checkpoint` verbatim.

    `extra` is opaque and unauthenticated; None if absent. Nothing is proven before `verify` has returned.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= SIZE_MAX:
            raise PROOF_INDEX_RANGE(f"entry index {self.index} out of range")
        if len(self.hashes) > PROOF_HASHES_MAX:
            raise PROOF_LENGTH(f"proof of {len(self.hashes)} hashes, expected at most {PROOF_HASHES_MAX}")
        for one in self.hashes:
            if len(one) != HASH_BYTES:
                raise PROOF_HASH_LENGTH(f"hash of {len(one)} bytes, expected {HASH_BYTES}")
        if self.extra is not None and not 1 <= len(self.extra) <= EXTRA_BYTES_MAX:
            raise PROOF_EXTRA(f"extra of {len(self.extra)} bytes, expected 1 to {EXTRA_BYTES_MAX}")
        Checkpoint.parse(Note.parse(self.checkpoint).text)

    @classmethod
    def parse(cls, encoded: bytes) -> TlogProof:
        """Read a proof file of at most `PROOF_BYTES_MAX` bytes. Raises Malformed."""
        if len(encoded) > PROOF_BYTES_MAX:
            raise PROOF_SIZE(f"proof of {len(encoded)} bytes, expected at most {PROOF_BYTES_MAX}")
        head, blank, checkpoint = encoded.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as fault:
            raise PROOF_LINE(f"proof is not ascii: at byte {fault.start}") from None
        if lines[0] != HEADER or not blank:
            raise PROOF_HEADER(f"not a proof file: {shown(lines[0])}")
        extra = None
        if len(lines) > 1 and lines[1].startswith("extra "):
            extra = base64_decoded(lines.pop(1).removeprefix("extra "), what="extra")
        if len(lines) < 2 or not lines[1].startswith("index "):
            raise PROOF_LINE("proof without an index line")
        if len(lines) > 2 + PROOF_HASHES_MAX:
            raise PROOF_LENGTH(f"proof of more than {PROOF_HASHES_MAX} hashes")
        return cls(
            index=decimal(lines[1].removeprefix("index "), what="entry index"),
            hashes=tuple(base64_decoded(line, what="hash") for line in lines[2:]),
            checkpoint=checkpoint,
            extra=extra,
        )

    def encoded(self) -> bytes:
        """Return the bytes that `parse` reads; by convention stored in a file called `*.tlog-proof`."""
        lines = [HEADER, f"index {self.index}", *(b64encode(one).decode() for one in self.hashes)]
        if self.extra is not None:
            lines.insert(1, f"extra {b64encode(self.extra).decode()}")
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    def verify(self, *, leaf: bytes, origin: str, log_keys: Iterable[VerifierKey]) -> Checkpoint:
        """Check that the leaf hash is at `index` in the log `origin`, and return the checkpoint that includes it.

        Raises Unverified with the steps of `verified_checkpoint` and `verify_inclusion`. Cosignatures are not checked:
        see `verify_under`.
        """
        checkpoint = verified_checkpoint(self.checkpoint, origin=origin, log_keys=log_keys)
        self._verify_inclusion(leaf, checkpoint)
        return checkpoint

    def verify_under(
        self, policy: Policy, *, leaf: bytes, origin: str, log_keys: Iterable[VerifierKey] = ()
    ) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
        """Check the same, and that witnesses cosigned the checkpoint as the policy requires. Return the checkpoint and
        the cosignatures.

        log_keys: as in `verified_checkpoint_under`. Raises Unverified with the steps of that and `verify_inclusion`.
        """
        checkpoint, cosignatures = verified_checkpoint_under(
            self.checkpoint, policy, origin=origin, log_keys=log_keys
        )
        self._verify_inclusion(leaf, checkpoint)
        return checkpoint, cosignatures

    def _verify_inclusion(self, leaf: bytes, checkpoint: Checkpoint) -> None:
        verify_inclusion(
            leaf=leaf, index=self.index, size=checkpoint.size, proof=self.hashes, root=checkpoint.root
        )
