"""Verify and record what a person signed about an incident: that it is opened, a note, that it is closed.

Law: the entry is all there is of it. Nothing is read here but the entries that the statement names, each by its index;
what an incident is, and whether it is closed, the process that keeps the index says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from answerable.core.containment.hold import HoldId, HoldTarget, holdable
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.incident.incident import NAMES_MAX
from answerable.core.incident.incident_entry import incident_entry
from answerable.core.incident.incident_statement import verified_incident
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.subject import principal_subject
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.time_rule import instant_of
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.incidents import (
    INCIDENT_ABOUT,
    INCIDENT_MALFORMED,
    INCIDENT_RIGHT,
    INCIDENT_TOLD,
    INCIDENT_UNKNOWN,
    INCIDENT_WIDE,
)
from answerable.flows.recording.name_keys import key_file
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.incident_duties import IncidentRules
    from answerable.core.incident.incident_statement import IncidentChange, IncidentClaims
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, InProgress, Recorder
    from answerable.ports.ledger import Ledger

Covers = dict[str, tuple[str, ...]]
_DIRECT: Final = frozenset({"agent", "instance", "mandate", "server", "capability", "key", "manifest"})
"""Kinds of what can be held that a search has a field for."""
_OF_ALERTS: Final = ("agent", "server", "capability", "target", "account", "key")
"""Members of an alert's leaf: the first that it has says what the incident is about."""


class Recorded(NamedTuple):
    """A recorded statement."""

    incident: str
    change: str
    entry: int
    at: UnixMillis


async def record_incident(
    recorder: Recorder,
    authority: AuthorityRegisters,
    under_way: InProgress,
    rules: IncidentRules,
    token: str,
    *,
    change: IncidentChange,
    incident: str = "",
) -> Recorded:
    """Verify a person's signed statement and record it. incident: which one it must be about; empty for a new one.

    Raises the exceptions of `verified_incident`; Malformed (`incident.unknown`); Refused (`incident.right`,
    `incident.about`, `incident.wide`, `revoked.*`, `held.*` for a signer who is held); Unavailable.
    """
    current, now = authority.registry.current, recorder.clock.now()
    claims, key = verified_incident(token, audience=recorder.ledger.origin, current=current, now=now)
    if claims.change != change or (incident and claims.incident != incident):
        raise INCIDENT_MALFORMED("the statement is about another incident, or does something else")
    signed_with = await key_file(recorder, authority.registry, under_way, claims.iss, key)
    fault = signer_fault(authority, claims.iss, key)
    if fault is not None:
        raise fault
    _check_right(authority.registry.current, rules, claims.iss)
    covers: Covers = {}
    if change == "opened":
        covers = await anyio.to_thread.run_sync(_covers, recorder, authority, claims)
    else:
        _check_opened(recorder.ledger, claims)
    entry = incident_entry(
        claims,
        token,
        at=now,
        sealing=sealing_for(recorder, principal_subject(claims.iss)),
        by=pseudonym_of(recorder, claims.iss),
        key_file=signed_with,
        covers=covers,
        duties=rules.hours,
    )
    receipt, left = await record_entry(recorder, entry)
    if left is not None:
        raise left
    return Recorded(claims.incident, change, receipt.index, now)


def _check_right(current: RegistrySnapshot, rules: IncidentRules, person: str) -> None:
    known = current.principals.get(PrincipalId(person))
    if rules.group and (known is None or rules.group not in known.groups):
        raise INCIDENT_RIGHT(
            f"{shown(person)} may not write about incidents: only members of group {shown(rules.group)} may"
        )


def _check_opened(ledger: Ledger, claims: IncidentClaims) -> None:
    """Check that the named entries are of this incident, and its times. Raises Malformed (`incident.unknown`,
    `incident.told`)."""
    opened = _leaf(ledger, claims, claims.entry)
    if opened.get("change") != "opened":
        raise INCIDENT_UNKNOWN(f"entry {claims.entry} opened no incident {shown(claims.incident)}")
    since = opened.get("since")
    if claims.told and isinstance(since, int) and claims.told_ms < since:
        told, begins = (instant_of(UnixMillis(one)).isoformat() for one in (claims.told_ms, since))
        raise INCIDENT_TOLD(
            f"nobody was told at {told}, before what incident {shown(claims.incident)} is about, which begins at "
            f"{begins}: say when it was"
        )
    if claims.answers >= 0 and _leaf(ledger, claims, claims.answers).get("question") is not True:
        raise INCIDENT_UNKNOWN(f"entry {claims.answers} asks nothing about incident {shown(claims.incident)}")


def _leaf(ledger: Ledger, claims: IncidentClaims, index: int) -> dict[str, JSONValue]:
    stored = ledger.entry(index) if 0 <= index < ledger.size else None
    leaf = leaf_of(stored) if stored is not None and stored.tag == Tag.INCIDENT else {}
    if leaf.get("incident") != claims.incident:
        raise INCIDENT_UNKNOWN(
            f"there is no incident {shown(claims.incident)} that entry {index} is about: see `answerable incident list`"
        )
    return leaf


def _covers(recorder: Recorder, authority: AuthorityRegisters, claims: IncidentClaims) -> Covers:
    """Return the names whose entries an incident is about, by field of a search; none for everything in its window."""
    match claims.kind:
        case "agent":
            covers: Covers = {"agent": (claims.name,)}
        case "vendor":
            covers = _held(recorder, authority, HoldTarget("vendor", claims.name))
            if not covers:
                raise _nothing(f"no agent or server has vendor {shown(claims.name)}")
        case "hold":
            hold = authority.holds.get(HoldId(claims.name))
            if hold is None:
                raise _nothing(f"there is no hold {shown(claims.name)}, see `answerable hold list`")
            covers = _held(recorder, authority, hold.what)
            if covers or hold.what.kind != "everything":
                covers["hold"] = (claims.name,)
        case "alert":
            covers = _alerted(recorder, authority, claims.name)
        case _:
            covers = {}
    if any(len(names) > NAMES_MAX for names in covers.values()):
        raise INCIDENT_WIDE(
            f"this incident would be about more than {NAMES_MAX} names: open it for a part of them"
        )
    return covers


def _alerted(recorder: Recorder, authority: AuthorityRegisters, name: str) -> Covers:
    """Return what the entry of an alert is about."""
    index = int(name) if name.isascii() and name.isdigit() and len(name) <= 16 else -1
    if not 0 <= index < recorder.ledger.size:
        raise _nothing(f"the ledger has no entry {shown(name)}")
    stored = recorder.ledger.entry(index)
    leaf = leaf_of(stored)
    if stored.tag == Tag.RULE_FIRED:
        try:
            return _held(recorder, authority, holdable(str(leaf.get("kind")), str(leaf.get("name"))))
        except Malformed:
            return {}
    for field in _OF_ALERTS:
        found = leaf.get(field)
        if isinstance(found, str) and found:
            return {field: (found,)}
    return {}


def _held(recorder: Recorder, authority: AuthorityRegisters, what: HoldTarget) -> Covers:
    """Return the names of what can be held, as a search finds its entries."""
    current, name = authority.registry.current, what.name
    agents = {**current.agents, **current.idle_agents}.values()
    servers = current.servers.values()
    capabilities = {**current.capabilities, **current.idle}.values()
    if what.kind in _DIRECT:
        return {what.kind: (name,)}
    match what.kind:
        case "owner":
            return {"person": (pseudonym_of(recorder, name),)}
        case "tool":
            used = (one for one in capabilities if one.method == TOOLS_CALL)
            return _some(capability=(one.name for one in used if f"{one.server}/{one.target}" == name))
        case "vendor":
            return _some(
                agent=(one.name for one in agents if name in one.vendors),
                server=(one.name for one in servers if one.vendor == name),
            )
        case "tenant":
            return _some(
                agent=(one.name for one in agents if one.tenant == name),
                server=(one.name for one in servers if one.tenant == name),
            )
        case "environment":
            return _some(
                agent=(one.name for one in agents if one.environment == name),
                capability=(one.name for one in capabilities if one.environment == name),
            )
    return {}


def _some(**names: Iterable[str]) -> Covers:
    found = {field: tuple(sorted({*of})) for field, of in names.items()}
    return {field: of for field, of in found.items() if of}


def _nothing(why: str) -> Refused:
    return INCIDENT_ABOUT(f"there is nothing of that name that an incident can be about: {why}")
