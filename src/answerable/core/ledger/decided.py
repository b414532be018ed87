"""Build the part of a leaf that states a decision: the determining rules, the lifted ones, and the obligations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.decision.obligation import kinds_of
from answerable.core.ledger.leaves import DecisionLeaf

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision

SOURCES_MAX: Final = 16
SOURCES_CHARS_MAX: Final = 500
"""Total length of the names in one list, so that a leaf has space for two such lists and for budgets in several
accounts."""


def decision_leaf(decision: Decision) -> DecisionLeaf:
    """Return the decision for a typed leaf, cut to the space a leaf has."""
    return DecisionLeaf(
        by=sources(decision.determined_by),
        effect=decision.effect,
        lifted=sources(decision.lifted),
        obligations=[*kinds_of(decision.obligations)],
        policy_set=decision.policy_set,
    )


def decision_members(decision: Decision) -> dict[str, JSONValue]:
    """Return the same for leaves that are written as JSON."""
    return {
        "by": [*sources(decision.determined_by)],
        "effect": decision.effect,
        "lifted": [*sources(decision.lifted)],
        **({"obligations": [*kinds_of(decision.obligations)]} if decision.obligations else {}),
        "policy_set": decision.policy_set,
    }


def narrowed_kinds(decision: Decision) -> list[str]:
    """Return the kinds of obligations that narrowed the requested action to this one."""
    return [*kinds_of(decision.wider.obligations)] if decision.wider is not None else []


def sources(names: tuple[str, ...]) -> list[str]:
    """Return the first names that fit into a leaf."""
    if len(names) == 1 and len(names[0]) <= SOURCES_CHARS_MAX:
        return [names[0]]
    kept: list[str] = []
    chars = 0
    for name in names[:SOURCES_MAX]:
        chars += len(name)
        if chars > SOURCES_CHARS_MAX:
            break
        kept.append(name)
    return kept
