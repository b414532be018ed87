"""What a leaf says of a decision: which rules made it so, which were lifted, and under what obligations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.decision.obligation import kinds_of
from answerable.core.ledger.leaves import DecisionLeaf

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision

SOURCES_MAX: Final = 16
SOURCES_CHARS_MAX: Final = 500
"""Of all names in one list, so that a leaf has room for two such lists, and for budgets in several accounts."""


def decision_leaf(decision: Decision) -> DecisionLeaf:
    """As much of it as a leaf has room for."""
    return DecisionLeaf(
        by=sources(decision.determined_by),
        effect=decision.effect,
        lifted=sources(decision.lifted),
        obligations=[*kinds_of(decision.obligations)],
        policy_set=decision.policy_set,
    )


def decision_members(decision: Decision) -> dict[str, JSONValue]:
    """The same for leaves that are written as JSON."""
    return {
        "by": [*sources(decision.determined_by)],
        "effect": decision.effect,
        "lifted": [*sources(decision.lifted)],
        **({"obligations": [*kinds_of(decision.obligations)]} if decision.obligations else {}),
        "policy_set": decision.policy_set,
    }


def narrowed_kinds(decision: Decision) -> list[str]:
    """Kinds of the obligations under which the action that was asked for became this one."""
    return [*kinds_of(decision.wider.obligations)] if decision.wider is not None else []


def sources(names: tuple[str, ...]) -> list[str]:
    """As many of the names, in their order, as a leaf has room for."""
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
