"""Asking the decisions in an evidence bundle again. Whether the bundle is evidence at all is for `evidence_bundle`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from answerable.core.canonical import parse
from answerable.core.ledger.tags import Tag
from answerable.verify.decision_replay import DECIDED, replay
from answerable.verify.denial import Explained
from answerable.verify.replay_statements import Statements
from answerable.verify.replayed import DecisionEntry, Replayed

if TYPE_CHECKING:
    from answerable.core.evidence.bundle import Bundle, EvidenceEntry


def replay_bundle(bundle: Bundle, *, erased: frozenset[int] = frozenset()) -> tuple[Replayed, ...]:
    """Ask every decision in it again, in order. erased: as `decisions_in` has it."""
    decided, statements = decisions_in(bundle, erased=erased)
    return tuple(
        replay(
            one,
            policies=statements.policy_set(one.leaf),
            mandate=statements.mandate(one.leaf),
            hops=statements.hops(one.leaf),
        )
        for one in decided
    )


def decisions_in(
    bundle: Bundle, *, erased: frozenset[int] = frozenset()
) -> tuple[list[DecisionEntry], Statements]:
    """The decisions in a bundle, and what it shows of what they were made under.

    erased: entries whose fields nobody can open any more, as who has the keys says; a bundle by itself does not tell
    them from what was left out.
    """
    statements = Statements()
    decided: list[DecisionEntry] = []
    for entry in bundle.entries:
        leaf = _leaf(entry)
        fields = {one.name: bytes(one.value) for one in entry.disclosures}
        tag = leaf.get("tag")
        if type(tag) is not int:
            continue
        statements.take(tag, leaf, fields)
        if tag in DECIDED:
            committed = leaf.get("_sd")
            count = len(committed) if isinstance(committed, list) else 0
            decided.append(
                DecisionEntry(
                    index=entry.index,
                    tag=tag,
                    leaf=leaf,
                    fields=None if entry.index in erased else fields,
                    whole=len(fields) == count,
                )
            )
    return decided, statements


def turned_away_in(bundle: Bundle) -> list[Explained]:
    """Messages that a door refused before there was an action, in a bundle: nothing was decided, so no change is
    tried."""
    return [
        Explained(
            index=entry.index,
            effect="deny",
            reasons=(str(leaf.get("code")),),
            changes=(),
            text=f"a message was refused at door {leaf.get('door')}, before there was an action to decide about",
        )
        for entry in bundle.entries
        if (leaf := _leaf(entry)).get("tag") == Tag.DOOR_REFUSAL
    ]


def _leaf(entry: EvidenceEntry) -> dict[str, Any]:
    value = parse(entry.leaf)
    return value if isinstance(value, dict) else {}
