"""Describe entries about refusals at endpoints before authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.handed_on import moment_text
from answerable.core.incident.wording import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

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
