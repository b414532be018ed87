"""Policy sets: in force, proposed and earlier ones."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.api.members import AnyObject, Component, Count, Digest, Document, Instant, Part, Texts, words


class Policies(Component, frozen=True, kw_only=True):
    """Which sets are in force and who may change them."""

    audience: str
    policy_set: Digest
    documents: Digest
    sets: Texts
    publishers: str
    proposals: Count


class PolicySets(Component, frozen=True, kw_only=True):
    """Policy sets, and names of those to remove."""

    documents: tuple[Document, ...]
    removed: Texts | UnsetType = UNSET


class SetChange(Part, frozen=True, kw_only=True):
    """A set that changes."""

    kind: str
    name: str
    how: Annotated[str, words("added", "changed", "removed")]


class PolicyPlan(Component, frozen=True, kw_only=True):
    """What sets would change."""

    before: Digest
    after: Digest
    policy_set: Digest
    changes: tuple[SetChange, ...]


class PolicyProposal(Component, frozen=True, kw_only=True):
    """A signed proposal that waits for a second person."""

    id: str
    by: str
    at: Instant
    before: Digest
    after: Digest
    comment: str
    attached: Annotated[
        AnyObject,
        Meta(
            description="what its author says of tests and a simulation; any members, and none of them checked"
        ),
    ]


class ShownProposal(PolicyProposal, frozen=True, kw_only=True):
    """A proposal with its documents and those in force, by key."""

    superseded: bool
    documents: dict[str, Document]
    present: dict[str, Document]


class ProposalRequest(Component, frozen=True, kw_only=True):
    """A signed proposal. attached: what was tried before, as JSON text."""

    documents: tuple[Document, ...]
    removed: Texts | UnsetType = UNSET
    token: str
    attached: str | UnsetType = UNSET


class PolicyApplied(Component, frozen=True, kw_only=True):
    """What has changed."""

    changes: tuple[SetChange, ...]
    before: Digest
    after: Digest


class KeptSet(Component, frozen=True, kw_only=True):
    """Sets that were in force until a time."""

    until: Instant
    digest: Digest
    policy_set: Digest
    sets: Texts


class EarlierSet(Component, frozen=True, kw_only=True):
    """Earlier sets with their documents, by key."""

    digest: Digest
    policy_set: Digest
    documents: dict[str, Document]


class RollbackRequest(Component, frozen=True, kw_only=True):
    """Which sets to put into force again, signed."""

    to: str
    token: str
