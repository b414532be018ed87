"""Describe entries about manifests, instances and their identity documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import fields_told, listed, measurer, named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

    _Told = tuple[str, tuple[str, ...]]


def manifest_told(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    """Describe a manifest that came into force."""
    text = f"{named('by', leaf, payload)} signed manifest {short(leaf.get('manifest'))} of agent {leaf.get('agent')}."
    return text, ()


def enrolled_told(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    """Describe an instance that was enrolled, and what was measured of it."""
    parent = f", a sub-agent of {plain(leaf.get('parent'))}" if leaf.get("parent") else ""
    text = f"An instance of agent {leaf.get('agent')} was enrolled: {plain(leaf.get('instance'))}{parent}."
    drift, measured = leaf.get("drift"), payload.get("selectors")
    details = [f"shown by {leaf.get('source')}, measured by {measurer(leaf.get('grade'))}"]
    if isinstance(measured, list):
        details.append(f"measured: {listed(measured)}")
    if leaf.get("manifest"):
        details.append(f"compared with manifest {short(leaf.get('manifest'))}, {fields_told(leaf)}")
    if drift:
        details.append(f"differs from it in {listed(drift)}")
    return text, tuple(details)


def ended_told(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    """Describe an instance that ended."""
    because = plain(leaf.get("because"))
    ended = f"was ended by {named('by', leaf, payload)}" if leaf.get("by") else "ended"
    return f"Instance {plain(leaf.get('instance'))} of agent {leaf.get('agent')} {ended}: {because}.", ()


def svid_told(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> _Told:
    """Describe an identity document that was issued."""
    kind = {"x509": "An X.509-SVID", "jwt": "A JWT-SVID", "wit": "A WIT-SVID"}.get(
        str(leaf.get("kind")), "An SVID"
    )
    broker = f" through broker {plain(leaf.get('broker'))}" if leaf.get("broker") else ""
    return f"{kind} was issued to {plain(leaf.get('instance'))}{broker} ({short(leaf.get('serial'))}).", ()
