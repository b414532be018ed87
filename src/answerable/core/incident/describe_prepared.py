"""Describe prepared objects and their execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def executed_told(payload: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Return, for an intent, which entry prepared the object that it executes."""
    found = payload.get("prepared")
    if not isinstance(found, dict):
        return ()
    return (
        f"executes exactly what was prepared at #{plain(found.get('entry'))} by {plain(found.get('by'))}, digest "
        f"{short(found.get('digest'))}",
    )


def kept_told(payload: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Return, for an outcome, what was stored for execution, or why nothing was."""
    found = payload.get("prepared")
    if not isinstance(found, dict):
        return ()
    if found.get("kept") is not True:
        return (f"not kept to be executed: {plain(found.get('why'))} ({plain(found.get('code'))})",)
    digest = str(found.get("digest")).removeprefix("sha256:")
    return (f"prepared to be executed: {plain(found.get('bytes'))} bytes, digest {short(digest)}",)
