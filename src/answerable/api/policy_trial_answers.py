"""What other policy sets would decide."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from answerable.api.members import Component, Count, Digest, Document, Instant, Part, Texts, words


class SimulationRequest(Component, frozen=True, kw_only=True):
    """Policy sets, and which part of the ledger to read. log: name of another shard, whose log is read. tiers: other
    tiers by capability."""

    documents: tuple[Document, ...]
    removed: Texts | UnsetType = UNSET
    since: str | UnsetType = UNSET
    start: str | UnsetType = UNSET
    log: str | UnsetType = UNSET
    tiers: dict[str, str] | UnsetType = UNSET


class AskedCounts(Part, frozen=True, kw_only=True):
    """How many questions people are asked."""

    count: Count
    tiers: dict[str, Count]
    rules: dict[str, Count]
    groups: dict[str, Count]


class QuestionCounts(Part, frozen=True, kw_only=True):
    """Questions now and with the other sets."""

    before: AskedCounts
    after: AskedCounts
    tasks: Count
    first_at: Instant | None
    last_at: Instant | None


class DecisionDifference(Part, frozen=True, kw_only=True):
    """A decision that would differ. shard: whose log has it; empty for the one that answers."""

    index: Count
    at: Instant
    agent: str
    capability: str
    was: Annotated[str, words("allow", "deny", "defer")]
    was_by: Texts
    now: Annotated[str, words("allow", "deny", "defer")]
    by: Texts
    reason: str
    obligations: Texts
    shard: str = ""


class SimulationPage(Component, frozen=True, kw_only=True):
    """One page of decisions asked again. others: names of the other shards, each to be asked as well."""

    start: Count
    end: Count
    size: Count
    more: bool
    policy_set: Digest
    questions: QuestionCounts
    asked: Count
    same: Count
    changes: dict[str, Count]
    by_policy: dict[str, Count]
    untold: dict[str, Count]
    unasked: dict[str, Count]
    differences: tuple[DecisionDifference, ...]
    others: Texts


class PolicyShadow(Component, frozen=True, kw_only=True):
    """What the shadow would have decided so far, of the logs of all shards. behind: entries that are known and
    not compared yet. not_counted: names of shards whose process has not begun to compare."""

    state: Annotated[str, words("following", "fault", "stopped")]
    not_counted: Texts
    fault: str
    policy_set: str
    since: Instant
    by: str
    behind: Count
    asked: Count
    same: Count
    changes: dict[str, Count]
    by_policy: dict[str, Count]
    untold: dict[str, Count]
    unasked: dict[str, Count]
    differences: tuple[DecisionDifference, ...]
