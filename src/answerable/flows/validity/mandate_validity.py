"""Check whether a mandate is valid now: its agent, use case, issuer and signing key.

Checked when a mandate is issued and again at every action, so that a stolen key or a lost role ends every mandate based
on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.identity.keys.compact_jws import kid_of
from answerable.core.identity.names.principal import PrincipalId, schedule_of
from answerable.core.identity.people.oidc_person import person_in
from answerable.core.ledger.projected_mandates import giver_keys
from answerable.core.mandate.scheduled import scheduled_terms
from answerable.core.mandate.session_claims import session_of
from answerable.core.mandate.token import audience_of, claims_of, is_signed_with
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.mandate import (
    MANDATE_AGENT_INACTIVE,
    MANDATE_APPLICATION,
    MANDATE_BEYOND_GIVER,
    MANDATE_ISSUER_KEY,
    MANDATE_NOT_AN_ISSUER,
    MANDATE_OTHER_PERSON,
    MANDATE_OTHER_SHARD,
    MANDATE_SCHEDULE,
    MANDATE_SESSION_REFUSED,
    MANDATE_USE_CASE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate, MandateId
    from answerable.core.registry.documents.documents import Principal, UseCase
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters

SESSIONS_MAX: Final = 10_000
"""Mandates whose login session is cached; when full, the cache is cleared."""


def standing_fault(mandate: Mandate, current: RegistrySnapshot) -> Refused | None:
    """Return why the mandate is not valid, or None: `mandate.agent_inactive`, `mandate.use_case`,
    `mandate.not_an_issuer`, `mandate.issuer_key`, `mandate.schedule`, `mandate.application`, `mandate.other_person`."""
    agent = current.agents.get(mandate.agent)
    if agent is None or agent.status != "active":
        return MANDATE_AGENT_INACTIVE(f"agent {shown(mandate.agent)} is not active")
    use_case = current.use_cases.get(mandate.use_case)
    if use_case is None or agent.use_case != mandate.use_case:
        return MANDATE_USE_CASE(
            f"agent {shown(mandate.agent)} does not serve use case {shown(mandate.use_case)}"
        )
    if schedule_of(mandate.principal) is not None:
        return _schedule_fault(mandate, use_case, current)
    return _person_fault(mandate, use_case, current)


def schedule_owner(principal: str, current: RegistrySnapshot) -> str:
    """Return the owner of the schedule that is a mandate's principal; empty if the principal is a person."""
    name = schedule_of(principal)
    schedule = current.schedules.get(name) if name is not None else None
    return schedule.ownership.owner if schedule is not None else ""


def giver_fault(mandate: Mandate, capabilities: Iterable[str], current: RegistrySnapshot) -> Refused | None:
    """Return why the mandate's giver may not grant one of these capabilities now, or None: `mandate.beyond_giver`. A
    schedule's giver is its owner."""
    name = schedule_owner(mandate.principal, current) or mandate.principal
    giver = current.principals.get(PrincipalId(name))
    for capability in capabilities:
        if giver is None or not giver.gives(capability):
            return MANDATE_BEYOND_GIVER(
                f"{name} may not grant {shown(capability)}: it is not among their registered capabilities"
            )
    return None


def session_fault(mandate: Mandate) -> Refused | None:
    """Return why the login that gave the mandate allows none of its grants, or None.

    Raises Malformed (`mandate.session`, `oidc.malformed`).
    """
    session = session_of(mandate)
    if any(all(one.names(grant.capability) for one in session) for grant in mandate.grants):
        return None
    return MANDATE_SESSION_REFUSED()


def known_session(
    sessions: dict[MandateId, tuple[Authority, ...]], mandate: Mandate
) -> tuple[Authority, ...]:
    """Return what the login behind a mandate in force allows. Cached, because it never changes. Raises Malformed as
    `session_fault`."""
    if not mandate.id_token:
        return ()
    found = sessions.get(mandate.id)
    if found is None:
        if len(sessions) >= SESSIONS_MAX:
            sessions.clear()
        found = sessions[mandate.id] = session_of(mandate)
    return found


def _schedule_fault(mandate: Mandate, use_case: UseCase, current: RegistrySnapshot) -> Refused | None:
    """Check that a schedule's mandate equals what its documents grant now, and that its owner may grant such tasks."""
    schedule = current.schedules.get(schedule_of(mandate.principal) or "")
    template = current.templates.get(schedule.template) if schedule is not None else None
    if schedule is None or template is None:
        return MANDATE_SCHEDULE(f"{mandate.principal} is not active")
    if not _may_issue(current.principals.get(PrincipalId(schedule.ownership.owner)), use_case):
        return MANDATE_NOT_AN_ISSUER(
            f"{schedule.ownership.owner}, who owns {mandate.principal}, may not issue mandates for use case "
            f"{shown(use_case.name)}"
        )
    try:
        expected = scheduled_terms(schedule, template, start=mandate.not_before)
    except Malformed as fault:
        return MANDATE_SCHEDULE(f"{mandate.principal}: {fault.message}")
    if claims_of(expected, audience="") != claims_of(mandate, audience=""):
        return MANDATE_SCHEDULE(
            f"the mandate differs from the template of {mandate.principal}: a new mandate is issued "
            "when the schedule is due next"
        )
    if not is_signed_by(mandate.token, schedule.keys):
        return MANDATE_ISSUER_KEY(
            f"the key that signed this mandate is not registered for {mandate.principal}"
        )
    return None


def _may_issue(person: Principal | None, use_case: UseCase) -> bool:
    owners = (use_case.ownership.owner, use_case.ownership.backup_owner)
    return person is not None and (person.name in owners or bool(set(person.groups) & set(use_case.issuers)))


def _person_fault(mandate: Mandate, use_case: UseCase, current: RegistrySnapshot) -> Refused | None:
    issuer = current.principals.get(mandate.principal)
    if issuer is None or not _may_issue(issuer, use_case):
        return MANDATE_NOT_AN_ISSUER(
            f"{mandate.principal} may not issue mandates for use case {shown(use_case.name)}: ask its "
            "owner, or join one of its issuer groups"
        )
    if mandate.application:
        return _application_fault(mandate, issuer, current)
    if not is_signed_by(mandate.token, issuer.keys):
        return MANDATE_ISSUER_KEY(
            f"the key that signed this mandate is no longer {mandate.principal}'s: ask for a new mandate"
        )
    return None


def _application_fault(mandate: Mandate, issuer: Principal, current: RegistrySnapshot) -> Refused | None:
    """Check that the application may still sign, and that the ID token names the registered person."""
    name = mandate.application
    application = current.applications.get(name)
    if application is None or mandate.use_case not in application.use_cases:
        return MANDATE_APPLICATION(
            f"application {shown(name)} is not active, or does not serve use case {shown(mandate.use_case)}"
        )
    try:
        same = mandate.id_token != "" and person_in(mandate.id_token) == issuer.oidc
    except Malformed:
        same = False
    if not same:
        return MANDATE_OTHER_PERSON(
            f"issuer and subject of the ID token are not those registered for {mandate.principal}"
        )
    if not is_signed_by(mandate.token, application.keys):
        return MANDATE_ISSUER_KEY(
            f"the key that signed this mandate is no longer application {shown(name)}'s: ask for a new mandate"
        )
    return None


def shard_fault(mandate: Mandate, origin: str) -> Refused | None:
    """Return why the mandate cannot be used in the log `origin`, or None: `mandate.other_shard`.

    Its budget is counted only in the log it was signed for. Another process may know the mandate from shared registers,
    and would count from zero.
    """
    shard = shard_elsewhere(mandate, origin)
    if shard is None:
        return None
    return MANDATE_OTHER_SHARD(
        f"mandate {shown(mandate.id)} is for log {shown(shard)}, this is log {shown(origin)}: use "
        "it there, or request one for this log"
    )


def shard_elsewhere(mandate: Mandate, origin: str) -> str | None:
    """Return the log the mandate is for, if it is not `origin`; empty if unreadable."""
    try:
        audience = audience_of(mandate.token)
    except Malformed:
        return ""
    return None if audience == origin else audience


def still_stands(mandate: Mandate, current: RegistrySnapshot, *, origin: str) -> None:
    """Raise Refused as `shard_fault` and `standing_fault` say, and if the registers have another token than was issued.
    `origin`: the log in which the mandate would be used."""
    fault = shard_fault(mandate, origin) or standing_fault(mandate, current)
    if fault is not None:
        raise fault
    if mandate.application:
        keys = current.applications[mandate.application].keys
    else:
        keys = giver_keys(current, mandate.principal)
    if not is_signed_with(mandate.token, keys):
        raise MANDATE_ISSUER_KEY(
            "the signature of this mandate is not valid for what it says: its row in the registers was changed; "
            "ask for a new mandate"
        )


def fallen(authority: AuthorityRegisters, mandate: Mandate) -> Refused | None:
    """Return the result of `standing_fault`, cached for each mandate and registry, for lists and reports."""
    current = authority.registry.current
    if authority.standing_of is not current:
        authority.standing_of, authority.standing = current, {}
    if mandate.id not in authority.standing:
        authority.standing[mandate.id] = standing_fault(mandate, current)
    return authority.standing[mandate.id]


def is_signed_by(token: str, keys: tuple[PublicKey, ...]) -> bool:
    """Whether a statement, verified when it was accepted, names one of these keys as its signing key."""
    kid = kid_of(token)
    return any(key.thumbprint == kid for key in keys)
