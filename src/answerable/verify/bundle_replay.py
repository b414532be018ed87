"""Evaluate the decisions in an evidence bundle again. `evidence_bundle` checks that the bundle itself is valid."""

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
    """Evaluate every decision in the bundle again, in order. erased: as in `decisions_in`."""
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
    """Return the decisions in a bundle, and the statements (policies, mandates, hops) that the bundle discloses.

    erased: entries whose fields nobody can decrypt any more, as the holder of the keys reports. A bundle alone does not
    distinguish them from undisclosed fields.
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


def intent_of(bundle: Bundle, name: str) -> int | None:
    """Return the intent to which the entry of this index belongs; None where it names none."""
    for entry in bundle.entries:
        if str(entry.index) == name and type(found := _leaf(entry).get("intent")) is int:
            return found
    return None


def turned_away_in(bundle: Bundle) -> list[Explained]:
    """Explain the messages in a bundle that a listener refused before there was an action. Nothing was decided, so no
    change is tried."""
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
