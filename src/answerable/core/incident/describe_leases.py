"""Describe entries about leases, and the sessions opened with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def lease_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe the state of a credential: used, revoked, or not revoked and why."""
    state, end = leaf.get("state"), leaf.get("end")
    # After the loss of its register the broker has only the names of leases, from the ledger.
    is_recalled = not leaf.get("capability") and not leaf.get("agent")
    stands = {
        "named": "is being ended" if is_recalled else "is being issued",
        "issued": "is live",
        "unrevoked": "COULD NOT BE REVOKED and is tried again",
        "ended": {"not_issued": "was never issued", "expired": "ran out"}.get(str(end), "was revoked"),
    }.get(str(state), plain(state))
    account = f" (account {plain(leaf.get('account'))})" if leaf.get("account") else ""
    whose = f"for {plain(leaf.get('capability'))} by {plain(leaf.get('agent'))}"
    if is_recalled:
        whose = "of which the broker knows the name alone, after the loss of its register"
    text = (
        f"The credential of lease {plain(leaf.get('lease'))}{account} at {plain(leaf.get('target'))}, {whose}, "
        f"{stands}."
    )
    details = []
    if leaf.get("uses"):
        details.append("used once" if leaf["uses"] == 1 else f"used for {plain(leaf.get('uses'))} actions")
    if leaf.get("why"):
        details.append(f"ended because {plain(leaf.get('why'))}")
    if payload.get("fault"):
        details.append(f"the last attempt failed: {plain(payload.get('fault'))}")
    left = payload.get("left")
    details += [f"not gone: {plain(one)}" for one in left] if isinstance(left, list) else []
    return text, tuple(details)


def session_told(leaf: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Return the target's own names of an action's session, one line each, by which it is found in the target's log."""
    session = leaf.get("session")
    if not isinstance(session, dict):
        return ()
    return tuple(f"session at the target: {plain(name)} {plain(session[name])}" for name in sorted(session))
