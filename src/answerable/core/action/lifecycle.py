"""The lifecycle of one action as a table of states; the docs' state diagram is drawn from it, and a ledger is verified
by it.

Laws: an action only moves along a row of this table; every path from `logged` ends in one of the four ends of an
intent.
"""

from __future__ import annotations

from typing import Final

from answerable.errors.codes.action import ACTION_TRANSITION

TRANSITIONS: Final[dict[str, tuple[str, ...]]] = {
    "received": ("verified", "refused"),
    "verified": ("decided", "refused"),
    "decided": ("logged", "deferred", "refused"),
    "deferred": ("approved", "refused"),
    "approved": ("decided", "refused"),
    "logged": ("acting", "not_started", "indeterminate"),
    "acting": ("succeeded", "failed", "indeterminate", "not_started"),
    "refused": (),
    "succeeded": (),
    "failed": (),
    "not_started": (),
    "indeterminate": ("succeeded", "failed", "not_started"),
}
"""`indeterminate` may be followed by a correcting entry when the true outcome is found later; nothing is rewritten."""

ENDS: Final = frozenset({"refused", "succeeded", "failed", "not_started", "indeterminate"})


def moved(state: str, to: str) -> str:
    """Return `to` if the table allows it from `state`. Raises Broken (`action.transition`) otherwise."""
    if to not in TRANSITIONS[state]:
        raise ACTION_TRANSITION(f"an action cannot change from state {state} to {to}")
    return to
