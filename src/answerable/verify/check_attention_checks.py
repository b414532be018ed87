"""Questions to people that an entry calls tests, held to what was committed to when they were asked.

Laws: what opens a test is what its question committed to, so that no real question becomes a test afterwards; nothing
ran by a test, and nobody's answer to one counts as an answer. Of a question that is not here nothing can be compared.
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
    """Takes leaves in the order of the log."""

    def __init__(self) -> None:
        self._committed: dict[str, str] = {}
        self._asked: set[str] = set()
        self._told: list[tuple[int, CanaryToldLeaf]] = []
        self._used: list[tuple[int, str]] = []

    def take(self, index: int, leaf: Leaf) -> None:
        """The next one."""
        if isinstance(leaf, ApprovalLeaf):
            self._asked.add(leaf.approval)
            if leaf.commitment is not UNSET:
                self._committed[leaf.approval] = leaf.commitment
        elif isinstance(leaf, CanaryToldLeaf):
            self._told.append((index, leaf))
        elif isinstance(leaf, AnswerLeaf | IntentLeaf) and leaf.approval is not UNSET and leaf.approval:
            self._used.append((index, leaf.approval))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Everything that is wrong. Asked once, after all leaves."""
        tests = {leaf.approval for _, leaf in self._told}
        for index, leaf in self._told:
            committed = self._committed.get(leaf.approval, "")
            said = (leaf.approval, bytes.fromhex(leaf.nonce), leaf.wrong, leaf.argument)
            if leaf.approval in self._asked and not opens(committed, *said):
                yield (
                    index,
                    Fault("canary.commitment", "it is not what was committed to when people were asked"),
                )
        for index, approval in self._used:
            if approval in tests:
                yield (
                    index,
                    Fault("canary.used", "what was a test was answered or has run like a real question"),
                )
