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
    from answerable.flows.state.walk import Walk
    from answerable.ports.duty_register import DutyRegister

OF_ONE_MAX: Final = 16
"""Most delegations of one person that have not expired."""


async def appoint_deputy(walk: Walk, token: str) -> DeputyStatement:
    """Verify a delegation of duty that was signed with a key file, record it and put it into force.

    Raises the exceptions of `verified_duty` and `check_times`; Refused (`duty.off`, `duty.none`, `duty.not_member`,
    `duty.not_deputy`, `duty.too_many`, `person.unknown`, `revoked.*`, `held.*`), Malformed (`duty.duplicate`,
    `duty.full`), Unavailable.
    """
    terms, key = verified_duty(token, audience=walk.ledger.origin, keys_of=walk.registry.current.person_keys)
    signer = next(one.jwk for one in walk.registry.current.person_keys(terms.of) if one.thumbprint == key)
    # Record whose key signed, unless the ledger has that already. All other checks follow this await.
    keys_ref = await key_on_record(walk, terms.of, key)
    one = _delegation(walk, terms, key=key, token=token)
    return await _put_into_force(walk, one, signer=signer, keys_ref=keys_ref)


def open_duty(walk: Walk, claims: Mapping[str, JSONValue]) -> tuple[DutyTerms, bytes, bytes]:
    """Return the terms that a passkey will sign, a nonce, and the challenge. Terms that would be refused later are
    refused now. claims: this function sets `id`, `aud` and `iat_ms`. Raises as `appoint_deputy`."""
    now = walk.clock.now()
    terms = terms_in({**claims, "aud": walk.ledger.origin, "iat_ms": now, "id": walk.entropy.token()})
    _check(walk, terms)
    nonce, _ = give_nonce(walk, _nonce_of(terms), to=terms.of)
    return terms, nonce, duty_challenge(terms, nonce)


async def delegate_by_passkey(
    walk: Walk,
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
    check_audience(terms, walk.ledger.origin)
    if terms.of != person:
        raise PASSKEY_OTHER(f"{shown(terms.of)} delegates this duty, but another person is signed in here")
    if used_nonce(walk, _nonce_of(terms), nonce, walk.clock.now(), by=person) is None:
        raise DUTY_NONCE()
    passkey = check_passkey(walk, assertion, challenge=duty_challenge(terms, nonce))
    if passkey.person != person:
        raise PASSKEY_OTHER(f"this passkey is not registered for {shown(terms.of)}")
    token = kept_duty(terms, nonce=nonce, passkey=passkey, origins=desk_of(walk).origins, assertion=assertion)
    one = _delegation(walk, terms, key=passkey.key, token=token)
    one = replace(one, strength=strength_of(passkey), credential=passkey.name)
    return await _put_into_force(walk, one, signer="")


async def end_duty(walk: Walk, delegation: str, *, by: str, because: str = "") -> DeputyStatement:
    """End a delegation now. by: who ends it. The endpoint must check that they may: the deputy, the person they stand
    in for, or an operator. because: stable code, where a registry change removed the delegation's basis; `by` may then
    be empty.

    Raises Refused (`duty.off`, `duty.unknown`, `duty.ended`), Unavailable.
    """
    register = _register(walk)
    one = register.find(delegation)
    if one is None:
        raise DUTY_UNKNOWN(f"there is no delegation of duty {shown(delegation)}")
    if one.ended_at:
        raise DUTY_ENDED(f"delegation of duty {one.id} has already ended")
    now = walk.clock.now()
    # 1. On record. After a crash here, it is ended at the next start.
    entry = duty_ended(
        one,
        at=now,
        sealing=sealing_for(walk, principal_subject(one.of)),
        of=pseudonym_of(walk, one.of),
        to=pseudonym_of(walk, one.to),
        by=pseudonym_of(walk, by) if by else "",
        by_name=by,
        because=because,
    )
    _, left = await record_entry(walk, entry)
    # 2. It no longer counts, not even for an answer given by it whose action has not run.
    await written(partial(register.end, one.id, now))
    if left is not None:
        raise left
    return replace(one, ended_at=UnixMillis(max(now, 1)))


def _delegation(walk: Walk, terms: DutyTerms, *, key: str, token: str) -> DeputyStatement:
    """Check the terms and the signer, and return the delegation. Raises as `_check`."""
    _check(walk, terms)
    fault = signer_fault(walk, terms.of, key)
    if fault is not None:
        raise fault
    return DeputyStatement(
        id=terms.id,
        group=terms.group,
        of=terms.of,
        to=terms.to,
        since=UnixMillis(max(terms.since, walk.clock.now())),
        until=terms.until,
        reason=terms.reason,
        strength="any",
        key=key,
        token=token,
    )


def _check(walk: Walk, terms: DutyTerms) -> None:
    """Check that the person may delegate and that the deputy may stand in. Raises Refused, Malformed, Unverified
    (`duty.stale`)."""
    duty = _duty(walk, terms.group)
    now = walk.clock.now()
    check_times(terms, now, days_max=duty.delegation_days_max)
    people = walk.registry.current.principals
    for name in (terms.of, terms.to):
        if name not in people:
            raise PERSON_UNKNOWN(
                f"no active person is registered as {shown(name)}: see `answerable registry list "
                "--kind Principal`"
            )
        fault = signer_fault(walk, name, "")
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
    own = [one for one in _register(walk).delegations() if one.of == terms.of and now < one.until]
    if len(own) >= OF_ONE_MAX:
        raise DUTY_TOO_MANY(
            f"{shown(terms.of)} has {len(own)} delegations of duty, which is the limit: end one first"
        )


async def _put_into_force(
    walk: Walk, one: DeputyStatement, *, signer: str, keys_ref: Reference | None = None
) -> DeputyStatement:
    register, under_way = _register(walk), walk.under_way.answering
    if register.find(one.id) is not None or one.id in under_way:
        raise DUTY_DUPLICATE("a delegation of duty with this id is registered already")
    under_way.add(one.id)
    try:
        return await _recorded(walk, register, one, signer=signer, keys_ref=keys_ref)
    finally:
        under_way.discard(one.id)


async def _recorded(
    walk: Walk, register: DutyRegister, one: DeputyStatement, *, signer: str, keys_ref: Reference | None
) -> DeputyStatement:
    # 1. On record. After a crash here, the next start puts it into the register.
    entry = duty_given(
        one,
        at=walk.clock.now(),
        sealing=sealing_for(walk, principal_subject(one.of)),
        of=pseudonym_of(walk, one.of),
        to=pseudonym_of(walk, one.to),
        signer=signer,
        kept=encode(delegation_members(one)),
        keys_ref=keys_ref,
    )
    receipt, left = await record_entry(walk, entry)
    # 2. In force.
    placed = replace(one, entry=receipt.index, leaf=receipt.leaf_hash.hex(), log=walk.ledger.origin)
    await written(partial(register.delegate, placed))
    if left is not None:
        raise left
    return placed


def _duty(walk: Walk, group: str) -> Duty:
    duty = walk.registry.current.duties.get(group)
    if duty is None:
        raise DUTY_NONE(f"group {shown(group)} has no Duty document: apply one that names its deputies")
    return duty


def _register(walk: Walk) -> DutyRegister:
    register = walk.duties.register
    if register is None:
        raise DUTY_OFF()
    return register


def _nonce_of(terms: DutyTerms) -> ApprovalId:
    """Return the key of nonces for a delegation by this person. It contains a space, so it cannot equal an approval id.
    A person has as many such nonces as one approval has. The signature covers nonce and terms."""
    return ApprovalId(f"duty {terms.of}")
