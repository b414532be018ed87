"""Describe entries about drills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import named, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def drill_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe what was drilled, on which shadow agent, and the result."""
    came = "passed" if leaf.get("passed") is True else "FAILED"
    text = (
        f"A {plain(leaf.get('kind'))} drill of {plain(leaf.get('of'))} {plain(leaf.get('name'))}, run by "
        f"{named('by', leaf, payload)} on its shadow {plain(leaf.get('shadow'))}, {came}."
    )
    took, faults = leaf.get("took_ms"), leaf.get("faults")
    details = [f"{plain(name)} after {ms} ms" for name, ms in took.items()] if isinstance(took, dict) else []
    details += [plain(one) for one in faults] if isinstance(faults, list) else []
    return text, tuple(details)
