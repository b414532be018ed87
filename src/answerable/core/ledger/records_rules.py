"""Build the entry of a stop rule that fired: which rule, for whom, on which value from which entries, and what it held.

With the entry of its hold this gives how many rules fired, and the time to containment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_revocation import NAME_TOLD_TWICE_CHARS_MAX
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import HoldTarget
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.entry import Entry
    from answerable.core.registry.documents.stop_rule import StopRule

_TOLD: Final = frozenset({"agent", "instance", "mandate", "server", "capability"})
"""Kinds of targets whose name is also a leaf member, by which a timeline finds the entry."""


def rule_fired(
    rule: StopRule,
    *,
    at: UnixMillis,
    fired: Literal["held", "would_hold", "warned"],
    since: UnixMillis,
    owner: str,
    counted: Sequence[str],
    value: int,
    what: HoldTarget,
    hold: str,
    entries: Sequence[int],
) -> Entry:
    """Build the entry of a rule that fired. since: when the limit was exceeded. owner: the subject that exceeded it.
    counted: what is counted separately for that subject. what: the target that is held, would be, or is about to be.

    hold: id of the hold; empty for none. entries: those that the value came from, as far as known, the newest last.
    """
    members: dict[str, JSONValue] = {
        "counted": [*counted],
        "entries": [*entries],
        "fired": fired,
        "hold": hold,
        "kind": what.kind,
        "limit": rule.limit,
        "name": what.name,
        "over": rule.over,
        "owner": owner,
        "rule": rule.name,
        "since": since,
        "value": value,
        "watches": rule.watches,
        "within": rule.within_seconds,
    }
    if what.kind in _TOLD and len(what.name) <= NAME_TOLD_TWICE_CHARS_MAX:
        members[what.kind] = what.name
    return sealed_entry(Tag.RULE_FIRED, at=at, members=members)
