"""Appoint a deputy: record a person's signed delegation of duty for a time, and end it early.

A delegation adds an approver to a group. Therefore only a member delegates, only their own right, only to a person whom
the group's duty accepts as deputy, and no longer than the duty allows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.assurance_level import strength_of
from answerable.core.approval.deputy_ids import delegation_members
from answerable.core.approval.deputy_statement import (
    DeputyStatement,
    DutyTerms,
    check_audience,
    check_times,
    duty_challenge,
    terms_in,
    verified_duty,
)
from answerable.core.approval.duty_by_passkey import kept_duty
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.records_duties import duty_ended, duty_given
from answerable.core.ledger.subject import principal_subject
from answerable.errors import shown
from answerable.errors.codes.approval import (
    DUTY_DUPLICATE,
    DUTY_ENDED,
    DUTY_NONCE,
    DUTY_NONE,
    DUTY_NOT_DEPUTY,
    DUTY_NOT_MEMBER,
    DUTY_OFF,
    DUTY_TOO_MANY,
    DUTY_UNKNOWN,
)
from answerable.errors.codes.people import PASSKEY_OTHER, PERSON_UNKNOWN
from answerable.flows.escalation.approval_nonces import give_nonce, used_nonce
from answerable.flows.people.sign_in import check_passkey
from answerable.flows.recording.name_keys import key_on_record
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.end_instance import written
from answerable.flows.validity.deputy_validity import may_stand_in
from answerable.flows.validity.person_validity import desk_of
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.identity.people.passkey import PasskeyAssertion
    from answerable.core.ledger.leaves import Reference
    from answerable.core.registry.documents.duty import Duty
    from answerable.flows.state.duty_desk import OnCallState
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.ports.duty_register import DutyRegister
    from answerable.ports.entropy import Entropy
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

OF_ONE_MAX: Final = 16
"""Most delegations of one person that have not expired."""


async def appoint_deputy(
    recorder: Recorder, authority: AuthorityRegisters, asking: AskingState, token: str
) -> DeputyStatement:
    """Verify a delegation of duty that was signed with a key file, record it and put it into force.

    Raises the exceptions of `verified_duty` and `check_times`; Refused (`duty.off`, `duty.none`, `duty.not_member`,
    `duty.not_deputy`, `duty.too_many`, `person.unknown`, `revoked.*`, `held.*`), Malformed (`duty.duplicate`,
    `duty.full`), Unavailable.
    """
    terms, key = verified_duty(
        token, audience=recorder.ledger.origin, keys_of=authority.registry.current.person_keys
    )
    signer = next(
        one.jwk for one in authority.registry.current.person_keys(terms.of) if one.thumbprint == key
    )
    # Record whose key signed, unless the ledger has that already. All other checks follow this await.
    keys_ref = await key_on_record(recorder, authority.registry, asking.under_way, terms.of, key)
    one = _delegation(authority, asking.duties, terms, key=key, token=token)
    return await _put_into_force(recorder, asking, one, signer=signer, keys_ref=keys_ref)


def open_duty(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    entropy: Entropy,
    claims: Mapping[str, JSONValue],
) -> tuple[DutyTerms, bytes, bytes]:
    """Return the terms that a passkey will sign, a nonce, and the challenge. Terms that would be refused later are
    refused now. claims: this function sets `id`, `aud` and `iat_ms`. Raises as `appoint_deputy`."""
    now = authority.clock.now()
    terms = terms_in({**claims, "aud": ledger.origin, "iat_ms": now, "id": entropy.token()})
    _check(authority, asking.duties, terms)
    nonce, _ = give_nonce(asking.openings, authority.clock, entropy, _nonce_of(terms), to=terms.of)
    return terms, nonce, duty_challenge(terms, nonce)


async def delegate_by_passkey(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    claims: Mapping[str, JSONValue],
    *,
    person: PrincipalId,
    nonce: bytes,
    assertion: PasskeyAssertion,
) -> DeputyStatement:
    """Put a delegation into force that a person signed with a passkey in the console. person: the signed-in person.

    Raises as `appoint_deputy`, and Unverified (`duty.nonce`, `passkey.*`), Refused (`passkey.off`, `person.*`).
    """
    terms = terms_in(claims)
    check_audience(terms, recorder.ledger.origin)
    if terms.of != person:
        raise PASSKEY_OTHER(f"{shown(terms.of)} delegates this duty, but another person is signed in here")
    if used_nonce(asking.openings, _nonce_of(terms), nonce, recorder.clock.now(), by=person) is None:
        raise DUTY_NONCE()
    passkey = check_passkey(authority, asking.passkeys, assertion, challenge=duty_challenge(terms, nonce))
    if passkey.person != person:
        raise PASSKEY_OTHER(f"this passkey is not registered for {shown(terms.of)}")
    token = kept_duty(
        terms, nonce=nonce, passkey=passkey, origins=desk_of(asking.passkeys).origins, assertion=assertion
    )
    one = _delegation(authority, asking.duties, terms, key=passkey.key, token=token)
    one = replace(one, strength=strength_of(passkey), credential=passkey.name)
    return await _put_into_force(recorder, asking, one, signer="")


async def end_duty(
    recorder: Recorder, duties: OnCallState, delegation: str, *, by: str, because: str = ""
) -> DeputyStatement:
    """End a delegation now. by: who ends it. The endpoint must check that they may: the deputy, the person they stand
    in for, or an operator. because: stable code, where a registry change removed the delegation's basis; `by` may then
    be empty.

    Raises Refused (`duty.off`, `duty.unknown`, `duty.ended`), Unavailable.
    """
    register = _register(duties)
    one = register.find(delegation)
    if one is None:
        raise DUTY_UNKNOWN(f"there is no delegation of duty {shown(delegation)}")
    if one.ended_at:
        raise DUTY_ENDED(f"delegation of duty {one.id} has already ended")
    now = recorder.clock.now()
    # 1. On record. After a crash here, it is ended at the next start.
    entry = duty_ended(
        one,
        at=now,
        sealing=sealing_for(recorder, principal_subject(one.of)),
        of=pseudonym_of(recorder, one.of),
        to=pseudonym_of(recorder, one.to),
        by=pseudonym_of(recorder, by) if by else "",
        by_name=by,
        because=because,
    )
    _, left = await record_entry(recorder, entry)
    # 2. It no longer counts, not even for an answer given by it whose action has not run.
    await written(partial(register.end, one.id, now))
    if left is not None:
        raise left
    return replace(one, ended_at=UnixMillis(max(now, 1)))


def _delegation(
    authority: AuthorityRegisters, duties: OnCallState, terms: DutyTerms, *, key: str, token: str
) -> DeputyStatement:
    """Check the terms and the signer, and return the delegation. Raises as `_check`."""
    _check(authority, duties, terms)
    fault = signer_fault(authority, terms.of, key)
    if fault is not None:
        raise fault
    return DeputyStatement(
        id=terms.id,
        group=terms.group,
        of=terms.of,
        to=terms.to,
        since=UnixMillis(max(terms.since, authority.clock.now())),
        until=terms.until,
        reason=terms.reason,
        strength="any",
        key=key,
        token=token,
    )


def _check(authority: AuthorityRegisters, duties: OnCallState, terms: DutyTerms) -> None:
    """Check that the person may delegate and that the deputy may stand in. Raises Refused, Malformed, Unverified
    (`duty.stale`)."""
    duty = _duty(authority.registry, terms.group)
    now = authority.clock.now()
    check_times(terms, now, days_max=duty.delegation_days_max)
    people = authority.registry.current.principals
    for name in (terms.of, terms.to):
        if name not in people:
            raise PERSON_UNKNOWN(
                f"no active person is registered as {shown(name)}: see `answerable registry list "
                "--kind Principal`"
            )
        fault = signer_fault(authority, name, "")
        if fault is not None:
            raise fault
    if terms.group not in people[terms.of].groups:
        raise DUTY_NOT_MEMBER(
            f"{shown(terms.of)} is not in group {shown(terms.group)}: only a member can delegate "
            "its duty, a deputy cannot"
        )
    if not may_stand_in(duty, people[terms.to]):
        groups = ", ".join(shown(one) for one in dict.fromkeys((duty.group, *duty.deputies)))
        raise DUTY_NOT_DEPUTY(
            f"{shown(terms.to)} may not be a deputy for group {shown(terms.group)}: its Duty "
            f"allows members of {groups}"
        )
    own = [one for one in _register(duties).delegations() if one.of == terms.of and now < one.until]
    if len(own) >= OF_ONE_MAX:
        raise DUTY_TOO_MANY(
            f"{shown(terms.of)} has {len(own)} delegations of duty, which is the limit: end one first"
        )


async def _put_into_force(
    recorder: Recorder,
    asking: AskingState,
    one: DeputyStatement,
    *,
    signer: str,
    keys_ref: Reference | None = None,
) -> DeputyStatement:
    register, under_way = _register(asking.duties), asking.under_way.answering
    if register.find(one.id) is not None or one.id in under_way:
        raise DUTY_DUPLICATE("a delegation of duty with this id is registered already")
    under_way.add(one.id)
    try:
        return await _recorded(recorder, register, one, signer=signer, keys_ref=keys_ref)
    finally:
        under_way.discard(one.id)


async def _recorded(
    recorder: Recorder,
    register: DutyRegister,
    one: DeputyStatement,
    *,
    signer: str,
    keys_ref: Reference | None,
) -> DeputyStatement:
    # 1. On record. After a crash here, the next start puts it into the register.
    entry = duty_given(
        one,
        at=recorder.clock.now(),
        sealing=sealing_for(recorder, principal_subject(one.of)),
        of=pseudonym_of(recorder, one.of),
        to=pseudonym_of(recorder, one.to),
        signer=signer,
        kept=encode(delegation_members(one)),
        keys_ref=keys_ref,
    )
    receipt, left = await record_entry(recorder, entry)
    # 2. In force.
    placed = replace(one, entry=receipt.index, leaf=receipt.leaf_hash.hex(), log=recorder.ledger.origin)
    await written(partial(register.delegate, placed))
    if left is not None:
        raise left
    return placed


def _duty(registry: RegistryStore, group: str) -> Duty:
    duty = registry.current.duties.get(group)
    if duty is None:
        raise DUTY_NONE(f"group {shown(group)} has no Duty document: apply one that names its deputies")
    return duty


def _register(duties: OnCallState) -> DutyRegister:
    register = duties.register
    if register is None:
        raise DUTY_OFF()
    return register


def _nonce_of(terms: DutyTerms) -> ApprovalId:
    """Return the key of nonces for a delegation by this person. It contains a space, so it cannot equal an approval id.
    A person has as many such nonces as one approval has. The signature covers nonce and terms."""
    return ApprovalId(f"duty {terms.of}")
