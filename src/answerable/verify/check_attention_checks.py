"""Check that the approval requests which entries reveal as attention checks were committed to as such.

Laws: what an entry reveals matches the commitment in the request, so that no real request becomes an attention check
afterwards; no intent ran under an attention check, and no answer to one counts as an answer. A check whose request is
missing from the bundle cannot be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from answerable.core.approval.attention_check import opens
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.canary_shapes import CanaryToldLeaf
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import ApprovalLeaf, IntentLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.verify.leaf_types import Leaf


class ToldCanaries:
    """Collects leaves, in log order, and reports faults in attention checks."""

    def __init__(self) -> None:
        self._committed: dict[str, str] = {}
        self._asked: set[str] = set()
        self._told: list[tuple[int, CanaryToldLeaf]] = []
        self._used: list[tuple[int, str]] = []

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next leaf."""
        if isinstance(leaf, ApprovalLeaf):
            self._asked.add(leaf.approval)
            if leaf.commitment is not UNSET:
                self._committed[leaf.approval] = leaf.commitment
        elif isinstance(leaf, CanaryToldLeaf):
            self._told.append((index, leaf))
        elif isinstance(leaf, AnswerLeaf | IntentLeaf) and leaf.approval is not UNSET and leaf.approval:
            self._used.append((index, leaf.approval))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault. Call once, after the last leaf."""
        tests = {leaf.approval for _, leaf in self._told}
        for index, leaf in self._told:
            committed = self._committed.get(leaf.approval, "")
            said = (leaf.approval, bytes.fromhex(leaf.nonce), leaf.wrong, leaf.argument)
            if leaf.approval in self._asked and not opens(committed, *said):
                yield (
                    index,
                    Fault(
                        "canary.commitment",
                        (
                            "the disclosed test differs from the commitment "
                            "that was made when people were asked"
                        ),
                    ),
                )
        for index, approval in self._used:
            if approval in tests:
                yield (
                    index,
                    Fault("canary.used", "a test approval was answered or run like a real one"),
                )
