"""Describe the circumstances of an action from its entry: purpose, the agent's claim, conditions, and internal reasons.

For people only: it includes reasons that no agent may see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.hiding import hidden
from answerable.core.incident.wording import arguments_told, listed, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def circumstances(payload: Mapping[str, JSONValue]) -> list[str]:
    """Return short lines, most important first; none for what the entry does not state."""
    lines = [f"purpose of the mandate: {plain(payload['purpose'])}"] if payload.get("purpose") else []
    if payload.get("reason"):
        lines.append(f"reason the agent claimed: {plain(payload['reason'])}")
    return [*lines, *_narrowing(payload), *_obligations(payload), *_internal(payload)]


def set_aside(decision: Mapping[str, JSONValue], approval: JSONValue) -> str:
    """Describe what lifted the forbids. An entry does not state which were lifted by the approval and which by a
    condition."""
    lifted, conditions = decision.get("lifted"), decision.get("obligations")
    if not lifted:
        return f", after approval {short(approval)} was used up" if approval else ""
    by = [f"approval {short(approval)}"] if approval else []
    by += ["its conditions"] if conditions else []
    return f", after {' and '.join(by)} set {listed(lifted)} aside" if by else ""


def _narrowing(payload: Mapping[str, JSONValue]) -> list[str]:
    asked, decided = payload.get("asked"), payload.get("asked_decision")
    if isinstance(asked, dict) and isinstance(asked.get("arguments"), dict):
        lines = [f"policy narrowed it; asked for was {_arguments(asked['arguments'])}"]
    elif "asked_digest" in payload:
        lines = [f"policy narrowed it; what was asked for is kept as digest {short(payload['asked_digest'])}"]
    else:
        return []
    if isinstance(decided, dict) and isinstance(decided.get("lifted"), list):
        lines.append(f"narrowed by {listed(decided['lifted'] or decided.get('by'))}")
    return lines


def _arguments(arguments: JSONValue) -> str:
    shown = hidden(arguments)
    assert isinstance(shown, dict)  # noqa: S101 - it was one
    return arguments_told(shown)


def _obligations(payload: Mapping[str, JSONValue]) -> list[str]:
    decided = payload.get("asked_decision")
    before = decided.get("obligations") if isinstance(decided, dict) else None
    own = payload.get("obligations")
    texts = [one for part in (before, own) if isinstance(part, list) for one in part if isinstance(one, str)]
    told = "; ".join(plain(one) for one in dict.fromkeys(texts))
    return [f"on the condition of {told}"] if told else []


def _internal(payload: Mapping[str, JSONValue]) -> list[str]:
    told = payload.get("internal")
    return [
        f"for people only, {short(one.get('source'))}: {plain(one.get('text'))}"
        for one in (told if isinstance(told, list) else ())
        if isinstance(one, dict)
    ]
