"""Check that an action was narrowed as the decision about the wider action requires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from answerable.core.decision.narrowing import narrowed_arguments, same
from answerable.core.decision.obligation import duties_of, kinds_of
from answerable.core.registry.documents.pointing import with_changed
from answerable.errors import Refused
from answerable.verify.asked_arguments import named_by, sent_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.asked import Asked
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.obligation import Narrowing
    from answerable.verify.replayed import DecisionEntry


def unlike_the_wider(entry: DecisionEntry, wider: Decision, before: Asked, after: Asked) -> str:
    """Return how an entry differs from the result of narrowing the wider action; empty if it does not. before, after:
    the questions about the action before and after it was narrowed."""
    fields = entry.fields or {}
    if [*kinds_of(wider.obligations)] != [*entry.leaf["narrowed"]]:
        return "other obligations come of it"
    told = fields.get("asked_decision")
    if told is not None:
        wanted = {
            "by": [*wider.determined_by],
            "effect": wider.effect,
            "lifted": [*wider.lifted],
            "obligations": [*wider.obligations],
        }
        if msgspec.json.decode(told) != wanted:
            return "another decision comes of it"
    sent, narrowed = sent_in(fields.get("asked")), sent_in(fields.get("request"))
    if sent is None or narrowed is None:
        return ""
    try:
        alike = _alike(duties_of(wider.obligations).narrow, before, sent, after, narrowed)
    except Refused as fault:
        return fault.message
    return "" if alike else "other arguments come of it"


def _alike(
    narrow: tuple[Narrowing, ...], before: Asked, sent: dict[str, Any], after: Asked, now: dict[str, Any]
) -> bool:
    known = named_by(before, sent)
    made = narrowed_arguments(narrow, known)
    mappings = before.mappings()
    if mappings is None:
        return _seem_alike(narrow, known, made, sent, after, now)
    changed = {
        name: value for name, value in made.items() if name not in known or not same(value, known[name])
    }
    wanted = with_changed(mappings, sent, changed)
    return wanted is not None and same(wanted, now)


def _seem_alike(
    narrow: tuple[Narrowing, ...],
    known: Mapping[str, Any],
    made: Mapping[str, Any],
    sent: dict[str, Any],
    after: Asked,
    now: dict[str, Any],
) -> bool:
    """Compare arguments for questions from before mappings were recorded. A nested value has its name by a pointer,
    which was not recorded, so any argument with an object or a list may be the one that changed."""
    narrowed = {one.argument for one in narrow}
    named = named_by(after, now)
    alike = all(same(made[name], named.get(name)) for name in narrowed)
    deep = any(name not in sent or not same(sent[name], known[name]) for name in narrowed & known.keys())
    for name in (sent.keys() | now.keys()) - narrowed:
        value = sent.get(name)
        alike = alike and (same(value, now.get(name)) or (deep and isinstance(value, dict | list)))
    return alike
