"""Whether what an action did can be undone, as its own entry says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.search.hit import Hit

Undoing = Literal["nothing_done", "read", "reversible", "not_reversible", "not_readable"]
DONE: Final = frozenset({"succeeded", "indeterminate"})
"""Outcomes after which there may be an effect."""


def undoing_of(hit: Hit) -> Undoing:
    """Return whether what the action did can be undone; `not_readable` where what the entry says of it is sealed."""
    if hit.moment.tag != Tag.INTENT or hit.outcome not in DONE:
        return "nothing_done"
    question = (hit.moment.payload or {}).get("question")
    action = question.get("action") if isinstance(question, dict) else None
    context = question.get("context") if isinstance(question, dict) else None
    if not isinstance(action, dict) or not isinstance(context, dict):
        return "not_readable"
    if action.get("kind") == "read":
        return "read"
    # A question leaves out what is usual: that nothing can be undone.
    capability = context.get("capability")
    is_reversible = isinstance(capability, dict) and capability.get("reversible") is True
    return "reversible" if is_reversible else "not_reversible"
