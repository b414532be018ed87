"""Say what an incident is about: the names whose entries it covers, by field of a search.

Law: what it is to be about must be there. An alert is an entry of which others are told by themselves, so that not any
entry of a log starts the clock of an incident.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.containment.hold import HoldId, HoldTarget, holdable
from answerable.core.identity.names.principal import AgentId
from answerable.core.incident.announcement import announcements_in
from answerable.core.incident.incident import NAMES_MAX
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.fields import near
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.core.search.facts import kind_of
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.incidents import INCIDENT_ABOUT, INCIDENT_WIDE
from answerable.flows.recording.record_entry import pseudonym_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.incident_statement import IncidentClaims
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import AuthorityRegisters, Recorder

Covers = dict[str, tuple[str, ...]]
ALARMING: Final = frozenset({"revoked", "ended", "placed", "notified", "found"})
"""Announced changes that may be the alert of an incident: not that something was lifted or closed as planned."""
_DIRECT: Final = frozenset({"agent", "instance", "mandate", "server", "capability", "key", "manifest"})
"""Kinds of what can be held that a search has a field for."""
_OF_ALERTS: Final = ("agent", "instance", "server", "capability", "target", "account", "key")
"""Members of an alert's leaf: the first that it has says what the incident is about."""


def covers_of(recorder: Recorder, authority: AuthorityRegisters, claims: IncidentClaims) -> Covers:
    """Return the names whose entries an incident is about; none for everything in its window.

    Raises Refused (`incident.about`, `incident.wide`) and Unavailable.
    """
    match claims.kind:
        case "agent":
            _check_agent(authority, claims.name)
            covers: Covers = {"agent": (claims.name,)}
        case "vendor":
            covers = _held(recorder, authority, HoldTarget("vendor", claims.name))
            if not covers:
                raise _nothing(f"no agent or server has vendor {shown(claims.name)}")
        case "hold":
            found = _of_hold(recorder, authority, claims.name)
            if found is None:
                raise _nothing(f"there is no hold {shown(claims.name)}, see `answerable hold list`")
            covers = found
        case "alert":
            covers = _alerted(recorder, authority, claims.name)
        case _:
            covers = {}
    if any(len(names) > NAMES_MAX for names in covers.values()):
        raise INCIDENT_WIDE(
            f"this incident would be about more than {NAMES_MAX} names: open it for a part of them"
        )
    return covers


def _check_agent(authority: AuthorityRegisters, name: str) -> None:
    """Check that an agent is registered, or that it was given a task once."""
    current = authority.registry.current
    known = {**current.agents, **current.idle_agents}
    if AgentId(name) in known or any(one.agent == name for one in authority.mandates.all()):
        return
    raise _nothing(f"no agent is called {shown(name)}{near(name, tuple(known))}, see `answerable agent list`")


def _of_hold(recorder: Recorder, authority: AuthorityRegisters, name: str) -> Covers | None:
    hold = authority.holds.get(HoldId(name))
    if hold is None:
        return None
    covers = _held(recorder, authority, hold.what)
    if covers or hold.what.kind != "everything":
        covers["hold"] = (name,)
    return covers


def _alerted(recorder: Recorder, authority: AuthorityRegisters, name: str) -> Covers:
    """Return what the entry of an alert is about."""
    index = int(name) if name.isascii() and name.isdigit() and len(name) <= 16 else -1
    if not 0 <= index < recorder.ledger.size:
        raise _nothing(f"the ledger has no entry {shown(name)}")
    stored = recorder.ledger.entry(index)
    if not _is_alert(recorder, stored):
        raise _nothing(
            f"entry {index} ({kind_of(stored.tag)}) is no alert: a rule that fired, a hold, an end of authority, a "
            "finding in a target's log, or an action that a group was to be notified of; name an agent or a window"
        )
    leaf = leaf_of(stored)
    covers = _of_hold(recorder, authority, str(leaf.get("hold"))) if stored.tag == Tag.HOLD_PLACED else None
    if covers is not None:
        return covers
    if isinstance(leaf.get("kind"), str) and isinstance(leaf.get("name"), str):
        return _stopped(recorder, authority, leaf)
    for field in _OF_ALERTS:
        found = leaf.get(field)
        if isinstance(found, str) and found:
            return {field: (found,)}
    raise _nothing(f"entry {index} names nothing that could be looked for: name a window of time")


def _is_alert(recorder: Recorder, stored: StoredEntry) -> bool:
    """Whether others are told of an entry by itself: a stop rule fired, or it is announced and no planned end."""
    if stored.tag == Tag.RULE_FIRED:
        return True
    told = announcements_in(stored, recorder.ledger.origin, recorder.subject_keys.find)
    return any(one.change in ALARMING for one in told)


def _stopped(recorder: Recorder, authority: AuthorityRegisters, leaf: Mapping[str, JSONValue]) -> Covers:
    """Return what an entry stopped, or warned of, as its leaf says."""
    kind, name = str(leaf.get("kind")), str(leaf.get("name"))
    if kind == "owner":
        # The leaf has the pseudonym.
        return {"person": (name,)}
    try:
        what = holdable(kind, name)
    except Malformed:
        what = None
    covers = _held(recorder, authority, what) if what is not None else {}
    if not covers and kind != "everything":
        raise _nothing(f"nothing is known by {shown(kind)} {shown(name)}: name a window of time")
    return covers


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
