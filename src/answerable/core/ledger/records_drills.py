"""What the entry about a drill says: of what, under which shadow, and what came of it.

The name of who ran it is a field; the leaf has a pseudonym. What was not as it should be is told in our own words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.containment.drill import (
    Drill,
    DrillId,
    Milestone,
    drill_kind,
    drilled,
)
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry


def drill_run(drill: Drill, *, sealing: Sealing, by: str) -> Entry:
    """A drill was run. by: pseudonym of who ran it."""
    took: dict[str, JSONValue] = dict(drill.took)
    members: dict[str, JSONValue] = {
        "actions": drill.actions,
        "by": by,
        "definition": drill.definition,
        "drill": drill.id,
        "faults": [*drill.faults],
        "kind": drill.kind,
        "name": drill.what.name,
        "of": drill.what.kind,
        "passed": drill.passed,
        "shadow": drill.shadow,
        "took_ms": took,
        # A story of the agent or the capability finds it.
        drill.what.kind: drill.what.name,
    }
    fields = [(b"by_name", encode(drill.by))]
    return sealed_entry(Tag.DRILL, at=drill.at, members=members, fields=fields, sealing=sealing)


def drill_in(leaf: dict[str, JSONValue], *, by: str) -> Drill | None:
    """The drill that an entry is about; None for one that this version did not write. by: who ran it, or what stands
    for them."""
    match leaf:
        case {
            "drill": str(name), "kind": str(kind), "of": str(of), "name": str(of_name), "at": int(at),
            "definition": str(definition), "shadow": str(shadow), "actions": int(actions),
            "faults": list(faults), "took_ms": dict(took),
        }:  # fmt: skip
            try:
                return Drill(
                    id=DrillId(name),
                    kind=drill_kind(kind),
                    what=drilled(of, of_name),
                    definition=definition,
                    shadow=shadow,
                    at=UnixMillis(at),
                    by=by,
                    actions=actions,
                    faults=tuple(map(str, faults)),
                    took=tuple(Milestone(key, ms) for key, ms in took.items() if isinstance(ms, int)),
                )
            except Malformed:
                return None
    return None
