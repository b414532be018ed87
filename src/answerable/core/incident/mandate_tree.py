"""Build the delegation tree of a mandate from the log, with the actions done at each hop.

Law: an action counts at the last hop of its chain, or at the mandate itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answerable.core.incident.handed_on import hops_of, parent_of, traced_hop
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.handed_on import TracedHop
    from answerable.core.incident.timeline import Moment


@dataclass(slots=True, kw_only=True)
class Tally:
    """Actions by how they ended. refused: those recorded individually. unknown: indeterminate ones. in_flight: begun
    and not ended."""

    done: int = 0
    failed: int = 0
    refused: int = 0
    unknown: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One hop in the tree. above: its parent, as far as the log has it."""

    hop: TracedHop
    above: TracedHop | None
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateTree:
    """A mandate with its delegation tree. tally: of the mandate's own agent without a token. branches: each after its
    parent, oldest first."""

    tally: Tally
    branches: tuple[Branch, ...]


@dataclass(slots=True)
class _Growing:
    own: Tally = field(default_factory=Tally)
    hops: dict[str, TracedHop] = field(default_factory=dict)
    at: dict[int, str] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    begun: dict[int, Tally] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)


def grown(moments: Iterable[Moment], mandate: str) -> MandateTree:
    """Build the tree of one mandate. moments: of the log, in order; entries about other mandates are skipped."""
    tree = _Growing()
    for moment in moments:
        match moment.tag:
            case Tag.CITED:
                _add_hop(tree, moment, mandate)
            case Tag.INTENT if moment.leaf.get("mandate") == mandate:
                tree.begun[moment.index] = _place(tree, moment.leaf)
            case Tag.OUTCOME | Tag.INDETERMINATE:
                intent = moment.leaf.get("intent")
                if isinstance(intent, int) and intent in tree.begun:
                    # A later entry corrects an earlier one.
                    tree.ends[intent] = str(moment.leaf.get("status"))
            case Tag.REFUSAL if moment.leaf.get("mandate") == mandate:
                _place(tree, moment.leaf).refused += 1
    for index, tally in tree.begun.items():
        count_outcome(tally, tree.ends.get(index, ""))
    return MandateTree(tally=tree.own, branches=_in_order(tree))


def _add_hop(tree: _Growing, moment: Moment, mandate: str) -> None:
    hop = traced_hop(moment.leaf, moment.payload)
    if hop is None or hop.mandate != mandate:
        return
    tree.at[moment.index] = hop.name
    tree.hops.setdefault(hop.name, hop)
    tree.names.setdefault((hop.jti, hop.agent), hop.name)
    tree.tallies.setdefault(hop.name, Tally())


def _place(tree: _Growing, leaf: Mapping[str, JSONValue]) -> Tally:
    """Return where an action counts. An intent names the entry of its hop; a refusal only the hop's id."""
    hops = hops_of(leaf)
    if not hops:
        return tree.own
    last = hops[-1]
    entry = last.get("entry")
    if isinstance(entry, int) and entry in tree.at:
        return tree.tallies[tree.at[entry]]
    name = tree.names.get((str(last.get("id")), str(last.get("agent"))))
    return tree.tallies[name] if name is not None else tree.own


def count_outcome(tally: Tally, outcome: str, actions: int = 1) -> None:
    """Count actions that ended alike. outcome: as the entry of the end says it, empty where there is none, or as an
    index has it."""
    match outcome:
        case "" | "open":
            tally.in_flight += actions
        case "refused":
            tally.refused += actions
        case "succeeded":
            tally.done += actions
        case "failed" | "not_started":
            tally.failed += actions
        case _:
            tally.unknown += actions


def _in_order(tree: _Growing) -> tuple[Branch, ...]:
    """Return each hop before those below it; a hop whose parent is not in the log is at the top."""
    below: dict[str, list[TracedHop]] = {}
    above: dict[str, TracedHop | None] = {}
    by_id: dict[str, list[TracedHop]] = {}
    for hop in tree.hops.values():
        by_id.setdefault(hop.jti, []).append(hop)
    for hop in tree.hops.values():
        parent = parent_of(hop, by_id.get(hop.parent, ())) if hop.depth else None
        above[hop.name] = parent
        below.setdefault(parent.name if parent is not None else "", []).append(hop)
    found: list[Branch] = []
    waiting: list[TracedHop] = _reversed(below.get("", ()))
    while waiting:
        hop = waiting.pop()
        found.append(Branch(hop=hop, above=above[hop.name], tally=tree.tallies[hop.name]))
        waiting += _reversed(below.get(hop.name, ()))
    return tuple(found)


def _reversed(hops: Sequence[TracedHop]) -> list[TracedHop]:
    return list(reversed(hops))
