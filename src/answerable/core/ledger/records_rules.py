"""What the entry says of a stop rule that fired: which, for whom, by which number from which entries, and what it held.

From it and the entry of its hold follow how many rules fired, and how long it took to contain.
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
"""Under which member a story finds it, by what is held."""


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
    """A rule fired. since: when it was too much. owner: by whom. counted: what is counted apart for it. what: that
    stands still, would, or is about to.

    hold: its id; empty for none. entries: that the number came from, as far as they are known, the newest last.
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
