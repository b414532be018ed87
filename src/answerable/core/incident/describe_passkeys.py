"""Describe entries about people's passkeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.handed_on import moment_text
from answerable.core.incident.wording import named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def passkey_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe an invitation, an enrolled passkey, or the number of refused attempts."""
    change = leaf.get("change")
    if change == "refused":
        counts = leaf.get("counts")
        counts = counts if isinstance(counts, dict) else {}
        listed = ", ".join(f"{plain(count)} {plain(code)}" for code, count in counts.items())
        return f"Sign-ins of people were refused and only counted: {listed}.", ()
    if change == "session_refused":
        return _session_refused(leaf, payload)
    person, by = named("person", leaf, payload), named("by", leaf, payload)
    if change == "invited":
        expires = leaf.get("expires")
        until = f" until {moment_text(expires)}" if isinstance(expires, int) else ""
        return f"{by} invited {person} to bring in a passkey{until}.", ()
    details = [
        f"key: {short(leaf.get('key'))}; it "
        + (
            "may be copied to other devices"
            if leaf.get("backup_eligible")
            else "stays on its device, as that says"
        ),
    ]
    if leaf.get("attested"):
        details.append("a configured root vouches for the model of the device")
    credential = payload.get("credential")
    if isinstance(credential, dict):
        details.insert(0, f"called {plain(credential.get('label'))}")
    by_what = f"an invitation of {by}" if leaf.get("invitation") else "a session of their own"
    return f"{person} brought in a passkey by {by_what}.", tuple(details)


def _session_refused(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    person = named("person", leaf, payload)
    details = [f"session {plain(leaf.get('session'))}"]
    if payload.get("address"):
        details.append(
            f"from {plain(payload['address'])}, in {plain(payload.get('browser') or 'no named browser')}"
        )
    if payload.get("shown_by"):
        details.append(f"the passkey that was shown is one of {plain(payload['shown_by'])}")
    return f"Somebody in a session of {person} was refused: {plain(leaf.get('code'))}.", tuple(details)


def passkey_removed_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe who removed which passkey of whom."""
    called = f" {plain(payload['label'])}" if payload.get("label") else ""
    person, by = named("person", leaf, payload), named("by", leaf, payload)
    return f"{by} removed passkey{called} of {person}.", (f"key: {short(leaf.get('key'))}",)
