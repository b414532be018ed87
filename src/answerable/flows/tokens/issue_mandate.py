"""Issue a mandate that a principal signed: verify it, record it, put it into force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.containment.shadow import is_shadow_name
from answerable.core.identity.names.principal import schedule_of
from answerable.core.identity.people.oidc_person import person_in, unknown_issuer
from answerable.core.ledger import records
from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.projected_mandates import giver_keys
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.mission import terms_nonce
from answerable.core.mandate.scheduled import RESERVED_IDS, is_due
from answerable.core.mandate.token import verify_mandate
from answerable.core.registry.documents.time_rule import said
from answerable.errors import shown
from answerable.errors.codes.mandate import (
    MANDATE_CAPABILITY_UNKNOWN,
    MANDATE_DUPLICATE,
    MANDATE_EXPIRED,
    MANDATE_NOT_DUE,
    MANDATE_RESERVED_ID,
)
from answerable.flows.recording.name_keys import key_file
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.mandate_validity import (
    giver_fault,
    schedule_owner,
    session_fault,
    standing_fault,
)
from answerable.flows.validity.refuse_revoked import mandate_names, refuse_names, signing_key_of

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.verify_person import PersonVerifier
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore


async def issue_mandate(
    recorder: Recorder, authority: AuthorityRegisters, asking: AskingState, token: str
) -> Mandate:
    """Verify a signed mandate against the registry, record it and put it into force.

    Raises Unverified if the signature or its claims are not valid; Refused (`mandate.agent_inactive`,
    `mandate.use_case`, `mandate.capability_unknown`, `mandate.expired`, `mandate.not_an_issuer`, `mandate.reserved_id`,
    `mandate.beyond_giver`, `revoked.*`, `held.*`); Malformed (`mandate.duplicate`, `caveat.*`, `mandate.malformed`,
    `oidc.malformed`); Unavailable.

    A schedule's mandate is Refused (`mandate.not_due`, `mandate.schedule`) unless it is the one due now. A mandate that
    an application signed is refused unless its ID token was just made for these terms (Unverified `person.*`, `oidc.*`;
    Refused `mandate.application`, `mandate.other_person`), or if the login allows none of its grants
    (`mandate.session`).
    """
    current = authority.registry.current
    mandate = verify_mandate(
        token,
        audience=recorder.ledger.origin,
        keys_of=lambda issuer: giver_keys(current, issuer),
        application_keys=lambda name: current.applications[name].keys if name in current.applications else (),
    )
    # 0. Record the signing key if the ledger lacks it; everything else is checked after that wait.
    own = not mandate.application and schedule_of(mandate.principal) is None
    signed_with = (
        await key_file(
            recorder,
            authority.registry,
            asking.under_way,
            mandate.principal,
            signing_key_of(token),
        )
        if own
        else None
    )
    _check_against_registry(mandate, current)
    refuse_names(authority, mandate_names(authority, mandate))
    now = recorder.clock.now()
    _check_schedule(mandate, current, now)
    if now >= mandate.expires_at:
        raise MANDATE_EXPIRED("the mandate has already expired")
    issuing = asking.under_way.issuing
    if mandate.id in issuing or authority.mandates.find(mandate.id) is not None:
        raise MANDATE_DUPLICATE(f"there is a mandate {shown(mandate.id)} already")
    issuing.add(mandate.id)
    try:
        if mandate.application:
            await _check_person(recorder.ledger, authority.registry, asking.people, mandate)
        # 1. Ledger first. After a crash here the next start puts the mandate into force.
        entry = records.mandate_issued(
            mandate,
            at=now,
            sealing=sealing_for(recorder, principal_subject(mandate.principal)),
            principal=pseudonym_of(recorder, mandate.principal),
            audience=recorder.ledger.origin,
            owner=schedule_owner(mandate.principal, current),
            key_file=signed_with,
        )
        receipt, left = await record_entry(recorder, entry)
        # 2. In force.
        place = Reference(entry=receipt.index, leaf=receipt.leaf_hash.hex(), log=recorder.ledger.origin)
        authority.mandates.add(mandate, issued=place)
    finally:
        issuing.discard(mandate.id)
    if left is not None:
        raise left
    return mandate


def _check_schedule(mandate: Mandate, current: RegistrySnapshot, now: UnixMillis) -> None:
    name = schedule_of(mandate.principal)
    if name is None:
        if mandate.id.startswith(RESERVED_IDS):
            raise MANDATE_RESERVED_ID(f"ids that begin with {shown(RESERVED_IDS)} are reserved for schedules")
        # The id of a drill's task is the name of its use case, which nobody can register.
        if is_shadow_name(mandate.id) and mandate.id != mandate.use_case:
            raise MANDATE_RESERVED_ID(f"id {shown(mandate.id)} is reserved for drills")
    elif not is_due(current.schedules[name], mandate, now=now):
        rule = said(current.schedules[name].rule)
        raise MANDATE_NOT_DUE(f"{mandate.principal} is not due now: it is {rule}")


async def _check_person(
    ledger: Ledger, registry: RegistryStore, people: PersonVerifier | None, mandate: Mandate
) -> None:
    """Verify the person's ID token, only at issue, because it expires soon. That it names the registered person is
    checked at every action."""
    if people is None:
        raise unknown_issuer(person_in(mandate.id_token)[0])
    nonce = terms_nonce(mandate, audience=ledger.origin)
    await people.verify(mandate.id_token, nonce=nonce)
    # The registry may have changed while the issuer's keys were fetched.
    _check_against_registry(mandate, registry.current)
    if (fault := session_fault(mandate)) is not None:
        raise fault


def _check_against_registry(mandate: Mandate, current: RegistrySnapshot) -> None:
    fault = standing_fault(mandate, current)
    if fault is not None:
        raise fault
    for grant in mandate.grants:
        if grant.capability not in current.capabilities:
            raise MANDATE_CAPABILITY_UNKNOWN(f"capability {shown(grant.capability)} is not active")
    fault = giver_fault(mandate, (grant.capability for grant in mandate.grants), current)
    if fault is not None:
        raise fault
