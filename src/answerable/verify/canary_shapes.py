"""Define the ledger leaf that reveals an approval request as an attention check."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.verify.answer_shapes import AnswerLeaf, Unsigned
from answerable.verify.leaf_types import Count, Digest, Leaf, Reference


class CanaryToldLeaf(Leaf):
    """Tag 42: the end of an attention check. person: pseudonym of the person who answered, or who is accountable for
    the workflow that answered. person and verdict are absent if nobody answered. opened: as in `AnswerLeaf`."""

    approval: str
    agent: str
    argument: str
    capability: str
    ended: Annotated[str, Meta(pattern=r"^(?:caught|let_through|unseen)\Z")]
    mandate: str
    nonce: Digest
    wrong: Annotated[str, Meta(pattern=r"^(?:recipient|amount)\Z")]
    opened: Count | UnsetType = UNSET
    person: str | UnsetType = UNSET
    registry: Digest | UnsetType = UNSET
    strength: Unsigned | UnsetType = UNSET
    verdict: str | UnsetType = UNSET
    keys_ref: Reference | UnsetType = UNSET
    workflow: str | UnsetType = UNSET

    def as_answer(self) -> AnswerLeaf:
        """Return the answer that ended the check in the form of an answer to a real request. Requires a verdict."""
        return AnswerLeaf(
            v=self.v,
            tag=self.tag,
            at=self.at,
            approval=self.approval,
            person="" if self.person is UNSET else self.person,
            verdict="" if self.verdict is UNSET else self.verdict,
            workflow=self.workflow,
            opened=self.opened,
            keys_ref=self.keys_ref,
            registry=self.registry,
            strength=self.strength,
        )
