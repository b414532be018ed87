"""Decisions asked again, and possible ones."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from answerable.api.members import Component, Count, Instant, Part, Texts, words


class RecordedDecision(Part, frozen=True, kw_only=True):
    """A decision, as far as an entry records it. by: rules and policies. lifted: deferrals that an approval lifted."""

    by: Texts
    effect: str
    lifted: Texts


class ReplayedDecision(Part, frozen=True, kw_only=True):
    """A decision that is not as it was recorded. action: id of the action, or of the approval. derived: None where it
    could not be asked again. unchecked: parts that were not asked again. shard: whose log has it; empty for the
    one that answers."""

    action: str
    derived: RecordedDecision | None
    index: Count
    recorded: RecordedDecision
    text: str
    unchecked: Texts
    verdict: Annotated[str, words("same", "differs", "erased", "not_disclosed", "not_asked", "cannot_tell")]
    shard: str = ""


class Replayed(Component, frozen=True, kw_only=True):
    """Decisions that were derived again. next: entry to go on with; None at the end. others: names of the other shards,
    whose decisions are in logs of their own."""

    counts: dict[str, Count]
    next: Count | None
    reading: bool
    size: Count
    told: tuple[ReplayedDecision, ...]
    others: Texts


class PossibleWay(Part, frozen=True, kw_only=True):
    """What an agent could do under some of its mandates. by: policies, or codes of refusals. conditions: sentences of
    what depends on the single action."""

    agent: str
    by: Texts
    conditions: Texts
    effect: Annotated[str, words("allow", "depends", "deny")]
    mandates: Texts


class PossibleAgent(PossibleWay, frozen=True, kw_only=True):
    """An agent, and what it could do. also: under its other mandates, where no answer is an unconditional yes."""

    also: tuple[PossibleWay, ...] | UnsetType = UNSET


class Possible(Component, frozen=True, kw_only=True):
    """What agents could do at a time. shards: by whose logs, each for the mandates of its own; empty where all is known
    to the process that answers. elsewhere: shards whose mandates are not considered, with the reason."""

    at: Instant
    registry: str
    withheld: Count
    unfollowed: Count
    is_offered: bool
    agents: tuple[PossibleAgent, ...]
    shards: Texts
    elsewhere: dict[str, str]
