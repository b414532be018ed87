"""Batch answers: one signature over a list of approvals, from which each approval can be verified alone.

    item      = canonical JSON of {"action": action hash, "approval": id, "rendering": rendering hash}
    root      = Merkle tree hash (RFC 6962, section 2.1) of the items, sorted by id
    challenge = SHA-256("answerable-approval-batch/1" || 0x00 || nonce || root || size, 8 bytes || verdict || 0x00
                        || words)

words: digest of the texts beside the verdict, as for a single answer.

Laws: the list is never empty, names nothing twice and is bounded; a signature over one approval is not valid for a
list, nor one over a list for a single approval, because the domains differ; with an item's inclusion path it can be
checked without the other items.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.approval.challenge import NONCE_BYTES
from answerable.core.canonical import encode
from answerable.core.tlog.merkle import inclusion_proof, leaf_hash, reader_over, root_of
from answerable.errors.codes.approval import APPROVAL_BATCH, APPROVAL_CHALLENGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.approval.words import Words
    from answerable.core.tlog.merkle import HashReader

BATCH_DOMAIN: Final = b"answerable-approval-batch/1\0"
BATCH_ITEMS_MAX: Final = 200
BATCH_TIER_MAX: Final = 2
"""No batch answer approves critical actions, whatever the settings."""
_SIZE_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One approval of the list. action, rendering: hashes of what was shown, hex."""

    approval: str
    action: str
    rendering: str

    def leaf(self) -> bytes:
        """Return the item's leaf hash in the tree."""
        return leaf_hash(
            encode({"action": self.action, "approval": self.approval, "rendering": self.rendering})
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The list. Built only by `batch_of`, which ensures its laws. hash_at: reads its tree."""

    items: tuple[BatchItem, ...]
    root: bytes
    hash_at: HashReader = field(compare=False, repr=False)

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.items)

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the inclusion path of an item. Raises Malformed (`proof.index_range`)."""
        return inclusion_proof(index=index, size=self.size, hash_at=self.hash_at)


def batch_of(approvals: Iterable[Approval]) -> Batch:
    """Build the list of these approvals, over exactly the object and the card that each holds.

    Raises Malformed (`approval.batch`) for none, for more than `BATCH_ITEMS_MAX`, and for a duplicate.
    """
    items = tuple(
        sorted(
            (BatchItem(approval=one.id, action=one.shown.hex, rendering=one.card.hex) for one in approvals),
            key=lambda one: one.approval,
        )
    )
    check_size(len(items))
    if len({one.approval for one in items}) != len(items):
        raise APPROVAL_BATCH("an approval is listed twice")
    leaves = [one.leaf() for one in items]
    return Batch(items=items, root=root_of(leaves), hash_at=reader_over(leaves))


def check_size(size: int) -> None:
    """Check the number of items. Raises Malformed (`approval.batch`)."""
    if not 1 <= size <= BATCH_ITEMS_MAX:
        raise APPROVAL_BATCH(f"one answer covers 1 to {BATCH_ITEMS_MAX} approvals, got {size}")


def batch_challenge(*, nonce: bytes, root: bytes, size: int, verdict: Verdict, words: Words) -> bytes:
    """Return the 32 bytes that a passkey signs. nonce, root: 32 bytes each. Raises Malformed (`approval.challenge`,
    `approval.batch`)."""
    if {len(nonce), len(root)} != {NONCE_BYTES}:
        raise APPROVAL_CHALLENGE("nonce and root of a challenge have 32 bytes each")
    check_size(size)
    said = verdict.encode() + b"\0" + words.digest
    return sha256(BATCH_DOMAIN + nonce + root + size.to_bytes(_SIZE_BYTES) + said).digest()
