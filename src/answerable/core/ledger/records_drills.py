"""Build and read the entry of a drill: what was drilled, under which shadow agent, and the result.

The name of the person who ran it is a sealed field; the leaf has a pseudonym. Faults are described in our own words.
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
    """Build the entry of a drill that was run. by: pseudonym of the person who ran it."""
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
        # Lets a timeline of the agent or capability find the entry.
        drill.what.kind: drill.what.name,
    }
    fields = [(b"by_name", encode(drill.by))]
    return sealed_entry(Tag.DRILL, at=drill.at, members=members, fields=fields, sealing=sealing)


def drill_in(leaf: dict[str, JSONValue], *, by: str) -> Drill | None:
    """Read the drill from a leaf; None for one that this version did not write. by: the person who ran it, or their
    pseudonym."""
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
