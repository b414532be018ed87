"""Stop rules: what a rule would have held."""

from __future__ import annotations

from answerable.api.members import Component, Count, Instant, Part, Texts


class Firing(Part, frozen=True, kw_only=True):
    """One hold that the rule would have placed. index, at: of the entry that passed the limit. stopped: actions done
    although this hold would have stopped them."""

    index: Count
    at: Instant
    owner: str
    value: Count
    kind: str
    name: str
    stopped: Count


class RuleSimulation(Component, frozen=True, kw_only=True):
    """What a stop rule would have held. start, end: first entry read, first entry not read. size: of the ledger then.
    unlisted: firings beyond those listed. unknown: times a tracker's number could not be read, as it was erased.
    others: names of the other shards, whose logs were not read."""

    start: Count
    end: Count
    size: Count
    partial: bool
    unlisted: Count
    unknown: Count
    firings: tuple[Firing, ...]
    others: Texts
