"""Invite a registered person to enrol a passkey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.people.invitation import (
    CODE_BYTES,
    KEPT_SECONDS,
    LIFETIME_SECONDS,
    Invitation,
    invitation,
    invitation_code,
)
from answerable.core.ledger.records_passkeys import person_invited
from answerable.core.ledger.subject import principal_subject
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.person_validity import desk_of, person_standing

if TYPE_CHECKING:
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.passkey_desk import PasskeyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A new invitation. code: returned only here, and stored nowhere. The repr omits it."""

    invitation: Invitation
    code: str

    def __repr__(self) -> str:
        return f"Invited({self.invitation.person})"


async def invite_person(
    recorder: Recorder,
    authority: AuthorityRegisters,
    passkeys: PasskeyState | None,
    name: str,
    *,
    by: str,
    seconds: int = LIFETIME_SECONDS,
) -> Invited:
    """Make an invitation for a registered person and end the person's earlier ones. by: who invites, as authenticated
    at the endpoint.

    Raises Refused (`passkey.off`, `person.*`, `revoked.*`, `held.*`), Malformed (`invitation.lifetime`,
    `invitation.full`), Unavailable.
    """
    desk = desk_of(passkeys)
    person = person_standing(authority, passkeys, name)
    now = recorder.clock.now()
    code = invitation_code(recorder.entropy.bytes(CODE_BYTES))
    made = invitation(code, person=person.name, by=by, now=now, seconds=seconds)
    desk.register.forget_invitations(before=UnixMillis(now - KEPT_SECONDS * 1000))
    # 1. On record. After a crash here, nobody has the code, and the invitation must be made again.
    entry = person_invited(
        made,
        at=now,
        sealing=sealing_for(recorder, principal_subject(person.name)),
        person=pseudonym_of(recorder, person.name),
        by=pseudonym_of(recorder, by),
    )
    _, left = await record_entry(recorder, entry)
    # 2. Valid.
    desk.register.invite(made)
    if left is not None:
        raise left
    return Invited(invitation=made, code=code)
