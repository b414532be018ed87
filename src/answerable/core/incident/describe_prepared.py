"""What was prepared and what was executed of it, in the words of a timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def executed_told(payload: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Of an intent: which entry says that what it executes was prepared."""
    found = payload.get("prepared")
    if not isinstance(found, dict):
        return ()
    return (
        f"executes exactly what was prepared at #{plain(found.get('entry'))} by {plain(found.get('by'))}, digest "
        f"{short(found.get('digest'))}",
    )


def kept_told(payload: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Of an outcome: what was kept to be executed, or why nothing was."""
    found = payload.get("prepared")
    if not isinstance(found, dict):
        return ()
    if found.get("kept") is not True:
        return (f"not kept to be executed: {plain(found.get('why'))} ({plain(found.get('code'))})",)
    digest = str(found.get("digest")).removeprefix("sha256:")
    return (f"prepared to be executed: {plain(found.get('bytes'))} bytes, digest {short(digest)}",)
