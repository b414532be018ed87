"""Enrol a passkey that a person's device creates, by an invitation or from the person's own session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.identity.people.invitation import invitation_digest, not_good
from answerable.core.identity.people.passkey import check_room
from answerable.core.identity.people.passkey_registration import registered
from answerable.core.ledger.records_passkeys import passkey_added
from answerable.core.ledger.subject import principal_subject
from answerable.errors import AnswerableError
from answerable.errors.codes.people import PASSKEY_DUPLICATE
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.person_validity import desk_of, person_standing

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.identity.people.passkey import Passkey
    from answerable.core.identity.people.passkey_registration import PasskeyRegistration
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.passkey_desk import Ceremony, CeremonyKind, PasskeyState
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy


def good_invitation(clock: Clock, passkeys: PasskeyState | None, code: str) -> bytes:
    """Return the digest of a code that invites somebody now; empty for any other. Changes and counts nothing. Raises
    Refused (`passkey.off`), Unavailable."""
    desk = desk_of(passkeys)
    try:
        digest = invitation_digest(code)
    except AnswerableError:
        return b""
    found = desk.register.invitation(digest)
    return digest if found is not None and found.is_good(clock.now()) else b""


def begin_enrolment(
    authority: AuthorityRegisters, passkeys: PasskeyState | None, entropy: Entropy, code: str, *, browser: str
) -> Ceremony:
    """Return a challenge for the device of the invited person. browser: in which the enrolment began. The code stays
    valid until a passkey has been enrolled with it.

    Raises Unverified (`invitation.refused`), Refused (`passkey.off`, `person.*`, `revoked.*`, `held.*`), Malformed
    (`passkey.full`), Unavailable.
    """
    desk = desk_of(passkeys)
    try:
        digest = invitation_digest(code)
        found = desk.register.invitation(digest)
        now = authority.clock.now()
        if found is None or not found.is_good(now):
            if found is not None and now >= found.expires_at:
                # Use up an expired invitation, so that it stays expired if the clock is set back.
                desk.register.use_invitation(digest, now=now)
            raise not_good()
        person = person_standing(authority, passkeys, found.person)
    except AnswerableError as fault:
        desk.refused[fault.code] += 1
        raise
    return _begun(
        authority.clock, entropy, desk, person.name, kind="enrol", holder=browser, invitation=digest
    )


def begin_own_enrolment(
    authority: AuthorityRegisters, passkeys: PasskeyState | None, entropy: Entropy, name: str, *, session: str
) -> Ceremony:
    """Return a challenge for one more passkey of a signed-in person. The endpoint must make sure that the person has
    just authenticated. session: the person's session in which the enrolment began.

    Raises as `begin_enrolment`.
    """
    return _begun(
        authority.clock,
        entropy,
        desk_of(passkeys),
        person_standing(authority, passkeys, name).name,
        kind="enrol_own",
        holder=session,
    )


def _begun(
    clock: Clock,
    entropy: Entropy,
    desk: PasskeyState,
    person: PrincipalId,
    *,
    kind: CeremonyKind,
    holder: str,
    invitation: bytes = b"",
) -> Ceremony:
    held = desk.register.of(person)
    check_room(person, held=len(held), all_held=len(desk.register.all()))
    return desk.begun(
        kind, holder=holder, entropy=entropy, now=clock.now(), person=person, invitation=invitation
    )


async def finish_enrolment(
    recorder: Recorder,
    authority: AuthorityRegisters,
    passkeys: PasskeyState | None,
    ceremony: str,
    registration: PasskeyRegistration,
    *,
    label: str,
    browser: str = "",
    session: str = "",
) -> Passkey:
    """Verify what the device created, use up the invitation, record the passkey and put it into force.

    ceremony: id of the ceremony, which ends with this call. label: chosen by the person. browser or session, exactly
    one: browser for an enrolment by invitation, session for one more passkey of a signed-in person. Raises Unverified
    (`passkey.*`, `invitation.refused`), Malformed (`passkey.*`), Refused as `begin_enrolment`, Unavailable.
    """
    desk = desk_of(passkeys)
    try:
        now = recorder.clock.now()
        kind: CeremonyKind = "enrol_own" if session else "enrol"
        begun = desk.taken(ceremony, kind, holder=session or browser, now=now)
        passkey = registered(
            registration,
            challenge=begun.challenge,
            rp_id=desk.rp_id,
            origins=desk.origins,
            person=begun.person,
            label=label,
            now=now,
            roots=desk.roots,
        )
        person_standing(authority, passkeys, passkey.person, key=passkey.key)
        if desk.register.find(passkey.id) is not None:
            raise PASSKEY_DUPLICATE("this passkey is registered already")
        by = str(passkey.person)
        if begun.invitation:
            # 1. The invitation is used up. After a crash here, the person needs a new invitation.
            used = desk.register.use_invitation(begun.invitation, now=now)
            if used is None or used.person != begun.person:
                raise not_good()
            by = used.by
    except AnswerableError as fault:
        desk.refused[fault.code] += 1
        raise
    # 2. On record. After a crash here, the next start puts the passkey into the register.
    entry = passkey_added(
        passkey,
        at=now,
        sealing=sealing_for(recorder, principal_subject(passkey.person)),
        person=pseudonym_of(recorder, passkey.person),
        by=pseudonym_of(recorder, by),
        by_name=by,
        invitation=begun.invitation,
    )
    _, left = await record_entry(recorder, entry)
    # 3. In force.
    desk.register.add(passkey)
    if left is not None:
        raise left
    return passkey
