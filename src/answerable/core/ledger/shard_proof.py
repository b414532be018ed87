"""Prove that an entry of a shard is included in the log of logs: its own proof, the shard head, and that head's proof.

Laws:
- the only trusted key is that of the log of logs: the shard's key is the one that the proved head names;
- the shard's proof is against exactly the checkpoint in that head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.ledger.shards import ShardHead, covered_shard, members_of
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.proof import TlogProof
from answerable.errors.codes.ledger import SHARD_HEAD, SHARD_OTHER_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.tlog.checkpoint import Checkpoint
    from answerable.core.tlog.cosignature import Cosignature
    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardProof:
    """The proof that an entry of a shard is included in the log of logs. entry: proof file of the entry in its shard.
    head: leaf of the log of logs. under: proof file of that leaf."""

    entry: str
    head: bytes
    under: str

    def verify(self, *, leaf: bytes, origin: str, log_keys: Iterable[VerifierKey]) -> Checkpoint:
        """Check that an entry with this leaf hash is in the shard of the head, under a checkpoint of the log of logs
        called `origin`, which is returned.

        Raises Malformed, or Unverified with the steps of `TlogProof.verify`, and `shard.head` where the two proofs do
        not belong together.
        """
        under = TlogProof.parse(self.under.encode()).verify(
            leaf=leaf_hash(self.head), origin=origin, log_keys=log_keys
        )
        self._verify_entry(leaf)
        return under

    def verify_under(
        self, policy: Policy, *, leaf: bytes, origin: str
    ) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
        """Check the same, and that witnesses cosigned the log of logs as the policy demands; return the checkpoint and
        the cosignatures."""
        found = TlogProof.parse(self.under.encode()).verify_under(
            policy, leaf=leaf_hash(self.head), origin=origin
        )
        self._verify_entry(leaf)
        return found

    def _verify_entry(self, leaf: bytes) -> None:
        if covered_shard(self.head) is None:
            raise SHARD_HEAD("the entry of the log of logs is not the head of a shard")
        head = ShardHead.of_leaf(members_of(self.head))
        found = TlogProof.parse(self.entry.encode()).verify(
            leaf=leaf, origin=head.origin, log_keys=(head.key,)
        )
        if found != head.checkpoint:
            raise SHARD_OTHER_CHECKPOINT()
