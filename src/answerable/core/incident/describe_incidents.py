"""Describe entries about incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.handed_on import moment_text
from answerable.core.incident.wording import listed, named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

_ABOUT: Final = {
    "agent": "agent {}",
    "alert": "the alert of entry {}",
    "hold": "hold {}",
    "vendor": "vendor {}",
    "window": "a window of time",
}


def incident_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe what a person said of an incident, signed."""
    by, incident = named("by", leaf, payload), short(leaf.get("incident"))
    text, change = payload.get("comment"), leaf.get("change")
    details = [f"text: {plain(text)}"] if isinstance(text, str) else []
    if leaf.get("classes"):
        details.append(f"said to be: {listed(leaf.get('classes'))}")
    if leaf.get("told"):
        details.append(f"told: {plain(leaf.get('told'))}, at {_moment(leaf.get('told_at'))}")
    if change == "opened":
        about = about_told(str(leaf.get("about")), plain(leaf.get("about_name")))
        details.append(f"looked at: from {_moment(leaf.get('since'))}{_until(leaf.get('until'))}")
        return f"{by} opened incident {incident} about {about}.", tuple(details)
    if change == "closed":
        return f"{by} closed incident {incident}.", tuple(details)
    if leaf.get("question") is True:
        return f"{by} asked about incident {incident}.", tuple(details)
    if "answers" in leaf:
        return f"{by} answered question #{plain(leaf['answers'])} about incident {incident}.", tuple(details)
    return f"{by} noted on incident {incident}.", tuple(details)


def about_told(kind: str, name: str) -> str:
    """Return what an incident is about, in words. name: as it is shown."""
    return _ABOUT.get(kind, "{}").format(name)


def _moment(value: JSONValue) -> str:
    return moment_text(value) if type(value) is int else plain(value)


def _until(value: JSONValue) -> str:
    return f" until {moment_text(value)}" if type(value) is int and value else " on"
