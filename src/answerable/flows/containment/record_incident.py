"""Verify and record what a person signed about an incident: that it is opened, a note, that it is closed.

Laws: the entry is all there is of it; a statement that arrives again is answered with the entry that it has. Nothing is
read here but the entries that the statement names and, once after a start, those of the last minutes; what an incident
is, and whether it is closed, the process that keeps the index says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.incident.incident_duties import BY_NAME
from answerable.core.incident.incident_entry import incident_entry
from answerable.core.incident.incident_statement import verified_incident
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.subject import principal_subject
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.fields import near
from answerable.core.registry.documents.time_rule import instant_of
from answerable.core.statement import AGE_MILLIS_MAX, AHEAD_MILLIS_MAX
from answerable.errors import shown
from answerable.errors.codes.incidents import (
    INCIDENT_DUTY,
    INCIDENT_MALFORMED,
    INCIDENT_RIGHT,
    INCIDENT_TOLD,
    INCIDENT_UNKNOWN,
)
from answerable.flows.containment.incident_covers import covers_of
from answerable.flows.recording.name_keys import key_file
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.state.parts import Stated
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.incident.incident_duties import IncidentRules
    from answerable.core.incident.incident_statement import IncidentChange, IncidentClaims
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, InProgress, Recorder
    from answerable.ports.ledger import Ledger

KEPT_MILLIS: Final = AGE_MILLIS_MAX + AHEAD_MILLIS_MAX
"""How long after its entry a statement can arrive again and be young enough."""
READ_MAX: Final = 20_000
"""Entries that are read for statements that an earlier process recorded."""


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

    Raises the exceptions of `verified_incident`; Malformed (`incident.unknown`, `incident.duty`, `incident.told`);
    Refused (`incident.right`, `incident.about`, `incident.wide`, `revoked.*`, `held.*` for a signer who is held);
    Unavailable.
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
    async with under_way.stating:
        known = await _known(recorder, under_way, claims, token, now)
        if known is not None:
            return Recorded(claims.incident, change, known.entry, known.at)
        if change == "opened":
            covers = await anyio.to_thread.run_sync(covers_of, recorder, authority, claims)
        else:
            covers = {}
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
        under_way.stated[claims.id] = Stated(token, receipt.index, now)
    if left is not None:
        raise left
    return Recorded(claims.incident, change, receipt.index, now)


async def _known(
    recorder: Recorder, under_way: InProgress, claims: IncidentClaims, token: str, now: UnixMillis
) -> Stated | None:
    """Return what is recorded of this statement already. Raises Malformed (`incident.malformed`) if another statement
    has its id."""
    since = UnixMillis(now - KEPT_MILLIS)
    if not under_way.is_stated_read:
        before = await anyio.to_thread.run_sync(_stated_since, recorder, since)
        under_way.stated.update(before)
        under_way.is_stated_read = True
    for name in [name for name, one in under_way.stated.items() if one.at < since]:
        del under_way.stated[name]
    known = under_way.stated.get(claims.id)
    if known is not None and known.token != token:
        raise INCIDENT_MALFORMED("another statement has this `id`: sign it anew, with an `id` of its own")
    return known


def _stated_since(recorder: Recorder, since: UnixMillis) -> dict[str, Stated]:
    """Return the statements that an earlier process recorded since a time, by id."""
    found: dict[str, Stated] = {}
    size = recorder.ledger.size
    for index in range(size - 1, max(-1, size - 1 - READ_MAX), -1):
        stored = recorder.ledger.entry(index)
        leaf = leaf_of(stored)
        at = leaf.get("at")
        if type(at) is int and at < since:
            break
        if stored.tag == Tag.INCIDENT and type(at) is int:
            token = (payload_of(stored, leaf, recorder.subject_keys.find) or {}).get("token")
            # The first one counts.
            found[str(leaf.get("statement"))] = Stated(str(token), index, UnixMillis(at))
    return found


def _check_right(current: RegistrySnapshot, rules: IncidentRules, person: str) -> None:
    known = current.principals.get(PrincipalId(person))
    if rules.group and (known is None or rules.group not in known.groups):
        raise INCIDENT_RIGHT(
            f"{shown(person)} may not write about incidents: only members of group {shown(rules.group)} may"
        )


def _check_opened(ledger: Ledger, claims: IncidentClaims) -> None:
    """Check that the named entries are of this incident, and its times. Raises Malformed (`incident.unknown`,
    `incident.duty`, `incident.told`)."""
    opened = _leaf(ledger, claims, claims.entry)
    if opened.get("change") != "opened":
        raise INCIDENT_UNKNOWN(f"entry {claims.entry} opened no incident {shown(claims.incident)}")
    _check_duty(claims, opened.get("duties"))
    since = opened.get("since")
    if claims.told and isinstance(since, int) and claims.told_ms < since:
        told, begins = (instant_of(UnixMillis(one)).isoformat() for one in (claims.told_ms, since))
        raise INCIDENT_TOLD(
            f"nobody was told at {told}, before what incident {shown(claims.incident)} is about, which begins at "
            f"{begins}: say when it was"
        )
    if claims.answers >= 0 and _leaf(ledger, claims, claims.answers).get("question") is not True:
        raise INCIDENT_UNKNOWN(f"entry {claims.answers} asks nothing about incident {shown(claims.incident)}")


def _check_duty(claims: IncidentClaims, duties: JSONValue) -> None:
    """Check that who was told is not called like a duty that the incident does not have. Raises Malformed
    (`incident.duty`)."""
    names = tuple(sorted(duties)) if isinstance(duties, dict) else ()
    alike = near(claims.told, names)
    if claims.told and claims.told not in names and (claims.told in BY_NAME or alike):
        there = f"its duties are {', '.join(map(shown, names))}" if names else "it has none"
        raise INCIDENT_DUTY(
            f"incident {shown(claims.incident)} has no duty {shown(claims.told)}{alike or ';'} {there}; name "
            "whoever else was told otherwise"
        )


def _leaf(ledger: Ledger, claims: IncidentClaims, index: int) -> dict[str, JSONValue]:
    stored = ledger.entry(index) if 0 <= index < ledger.size else None
    leaf = leaf_of(stored) if stored is not None and stored.tag == Tag.INCIDENT else {}
    if leaf.get("incident") != claims.incident:
        raise INCIDENT_UNKNOWN(
            f"there is no incident {shown(claims.incident)} that entry {index} is about: see `answerable incident list`"
        )
    return leaf
