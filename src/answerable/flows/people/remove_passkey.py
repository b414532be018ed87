"""Remove a passkey permanently and end the sessions that it opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.base64url import to_base64url
from answerable.core.ledger.records_passkeys import passkey_removed
from answerable.core.ledger.subject import principal_subject
from answerable.errors import Refused, shown
from answerable.errors.codes.people import PASSKEY_UNKNOWN
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from answerable.core.identity.people.passkey import Passkey
    from answerable.flows.state.parts import Recorder
    from answerable.flows.state.passkey_desk import PasskeyState


async def remove_passkey(
    recorder: Recorder, passkeys: PasskeyState | None, name: str, *, by: str, person: str = ""
) -> Passkey:
    """Remove the passkey with this id, base64url, and return it. by: who removes it. person: the required owner; empty
    for any.

    Raises Refused (`passkey.off`, `passkey.unknown`), Unavailable. If the ledger accepts nothing, place a hold on the
    person or the key: that needs no record.
    """
    desk = desk_of(passkeys)
    passkey = passkey_called(passkeys, name)
    if person and passkey.person != person:
        raise _unknown(name)
    now = recorder.clock.now()
    # 1. On record. After a crash here, the next start removes the passkey.
    entry = passkey_removed(
        passkey,
        at=now,
        sealing=sealing_for(recorder, principal_subject(passkey.person)),
        person=pseudonym_of(recorder, passkey.person),
        by=pseudonym_of(recorder, by),
        by_name=by,
    )
    _, left = await record_entry(recorder, entry)
    # 2. Removed, for every process.
    desk.register.remove(passkey.id, at=now)
    if left is not None:
        raise left
    return passkey


def passkey_called(passkeys: PasskeyState | None, name: str) -> Passkey:
    """Return the registered passkey with this id. Raises Refused (`passkey.off`, `passkey.unknown`)."""
    for one in desk_of(passkeys).register.all():
        if to_base64url(one.id) == name:
            return one
    raise _unknown(name)


def _unknown(name: str) -> Refused:
    return PASSKEY_UNKNOWN(f"there is no passkey {shown(name)}: see `answerable person passkeys`")
