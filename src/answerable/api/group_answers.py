"""Groups of approvals that are alike."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.api.approval_answers import Approval
from answerable.api.members import Component, Count, Digest, Instant, Part, Texts, words


class ApprovalGroup(Component, frozen=True, kw_only=True):
    """A group of approvals that wait."""

    id: str
    agent: str
    principal: str
    mandate: str
    capability: str
    sentence: str
    because: Texts
    alike_count: Count
    odd_count: Count
    not_together: str
    expires_at: Instant


class GroupDifference(Part, frozen=True, kw_only=True):
    """A value in which approvals of a group differ."""

    label: str
    pointer: str


class OddApproval(Part, frozen=True, kw_only=True):
    """An approval that is unlike the others, and why."""

    approval: Approval
    because: Texts


class AlikeApproval(Part, frozen=True, kw_only=True):
    """An approval that is like the others, with the values in which it differs."""

    approval: Approval
    cells: Texts


class ApprovalGroupShown(ApprovalGroup, frozen=True, kw_only=True):
    """A group with its approvals."""

    differs: tuple[GroupDifference, ...]
    odd: tuple[OddApproval, ...]
    alike: tuple[AlikeApproval, ...]


class BatchSeen(Component, frozen=True, kw_only=True):
    """Digests of the cards that were seen, by approval."""

    seen: dict[str, Digest]
    verdict: Annotated[str, words("approve", "deny")]


class BatchOpening(Component, frozen=True, kw_only=True):
    """A nonce for one answer to many. left_out: why, by approval."""

    nonce: Annotated[str, Meta(description="32 bytes, base64url, for one answer")]
    root: Digest
    ids: Texts
    left_out: dict[str, str]
    ends_at: Instant


class BatchToken(Component, frozen=True, kw_only=True):
    """A signed answer to many."""

    ids: Texts
    token: Annotated[str, Meta(description="JWS, compact serialisation")]


class AnsweredApproval(Part, frozen=True, kw_only=True):
    """An approval and its state."""

    id: str
    state: str


class BatchAnswered(Component, frozen=True, kw_only=True):
    """What was answered. left_out: why, by approval."""

    answered: tuple[AnsweredApproval, ...]
    left_out: dict[str, str]
