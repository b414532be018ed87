"""Check when people first opened an approval against when it was requested and when they answered.

Law: nobody first opens an approval before it is requested, or after they have answered. Only the server reports the
opening itself; nobody can verify it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.canary_shapes import CanaryToldLeaf
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import ApprovalLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.verify.leaf_types import Leaf

RULE = "approval.opened"


class ToldOpenings:
    """Takes leaves in log order."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}

    def take(self, index: int, leaf: Leaf) -> Iterator[tuple[int, Fault]]:
        """Take the next leaf and yield its faults."""
        if isinstance(leaf, ApprovalLeaf):
            self._asked[leaf.approval] = leaf.at
        elif isinstance(leaf, AnswerLeaf | CanaryToldLeaf) and leaf.opened is not UNSET:
            asked = self._asked.get(leaf.approval, leaf.opened)
            if leaf.opened > leaf.at:
                yield (
                    index,
                    Fault(RULE, ("the entry says that the approval was first viewed after its answer")),
                )
            elif leaf.opened < asked <= leaf.at:
                yield (
                    index,
                    Fault(RULE, ("the entry says that the approval was viewed before it was requested")),
                )
