"""Describe entries about what came past the walk: refusals at endpoints before authentication, and what the logs of
targets show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.handed_on import moment_text
from answerable.core.incident.wording import plain
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue


def door_refusal_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe who was refused at which endpoint, before there was an action."""
    times, first, last = leaf.get("count"), leaf.get("first"), leaf.get("last")
    often = f"{plain(times)} messages were" if isinstance(times, int) and times > 1 else "A message was"
    who = f" of agent {plain(leaf.get('agent'))}" if leaf.get("agent") else ""
    text = f"{often} refused at door {plain(leaf.get('door'))}{who}: {plain(leaf.get('code'))}; nothing was done."
    details = []
    if leaf.get("key"):
        of_agent = " of the agent" if leaf.get("agent") else ", which is a claim"
        details.append(f"key named: {plain(leaf.get('key'))}{of_agent}")
    if payload.get("peer") or payload.get("source"):
        details.append(f"from {plain(payload.get('peer') or payload.get('source'))}")
    claims = [
        f"{word} {plain(payload.get(name))}"
        for word, name in (("agent", "agent_named"), ("mandate", "mandate_named"))
        if payload.get(name)
    ]
    if claims:
        details.append(f"it named {' and '.join(claims)}, which nobody proved")
    if leaf.get("others"):
        details.append("of senders for whom there was no room to tell them apart")
    if isinstance(first, int) and isinstance(last, int) and last > first:
        details.append(f"between {moment_text(first)} and {moment_text(last)}")
    return text, tuple(details)


def log_finding_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe what a target's own log shows against the record."""
    target, kind = plain(leaf.get("target")), plain(leaf.get("kind"))
    account = plain(leaf.get("account") or payload.get("account") or "that is not told")
    at, of_agent = leaf.get("line_at"), f" of agent {plain(leaf.get('agent'))}" if leaf.get("agent") else ""
    match leaf.get("verdict"):
        case "phantom":
            text = f"The {kind} log of target {target} says nothing of action {plain(leaf.get('action'))}{of_agent}, "
            text += "which succeeded by this record."
        case "content":
            text = f"The {kind} log of target {target} and this record differ in the {plain(leaf.get('differs'))} of "
            text += f"action {plain(leaf.get('action'))}{of_agent}."
        case "forged":
            text = f"In the {kind} log of target {target}, account {account} used label {plain(leaf.get('claimed'))}, "
            text += f"which its session does not bear out{', in an action' + of_agent if of_agent else ''}."
        case _:
            text = (
                f"By the {kind} log of target {target}, account {account}{of_agent} was used past the broker."
            )
    details = [f"at {moment_text(at)} by that log"] if isinstance(at, int) and at else []
    if leaf.get("action") and leaf.get("verdict") not in ("content", "phantom"):
        details.append(f"the account or session was last that of action {plain(leaf.get('action'))}")
    if leaf.get("line"):
        details.append(f"SHA-256 of the line: {plain(leaf.get('line'))}")
    return text, tuple(details)


DOORS_TOLD: Final[
    dict[int, Callable[[Mapping[str, JSONValue], Mapping[str, JSONValue]], tuple[str, tuple[str, ...]]]]
] = {Tag.DOOR_REFUSAL: door_refusal_told, Tag.LOG_FINDING: log_finding_told}
