"""Have a signed-in person authenticate again with a passkey before a critical operation (step-up authentication).

Laws: a confirmation begun for one session counts in that session alone, and a passkey of the same person must answer
it; a refused confirmation is recorded with the person of the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.ledger.records_passkeys import session_refused
from answerable.core.ledger.subject import principal_subject
from answerable.errors import Unverified
from answerable.errors.codes.people import PASSKEY_OTHER
from answerable.flows.people.sign_in import check_passkey
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.validity.person_validity import desk_of, person_standing

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.identity.people.passkey import PasskeyAssertion
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.passkey_desk import Ceremony, PasskeyState
    from answerable.ports.entropy import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSeen:
    """A session as one request presents it. name: of the session. browser: as the request states; address: source."""

    name: str
    person: PrincipalId
    browser: str
    address: str


def begin_confirmation(
    authority: AuthorityRegisters, passkeys: PasskeyState | None, entropy: Entropy, seen: SessionSeen
) -> Ceremony:
    """Return a challenge for the person of this session, valid in it alone. Raises Refused (`passkey.off`, `person.*`,
    `revoked.*`, `held.*`), Unavailable (`passkey.busy`)."""
    person = person_standing(authority, passkeys, seen.person).name
    return desk_of(passkeys).begun(
        "confirm", holder=seen.name, entropy=entropy, now=authority.clock.now(), person=person
    )


async def finish_confirmation(
    recorder: Recorder,
    authority: AuthorityRegisters,
    passkeys: PasskeyState | None,
    seen: SessionSeen,
    ceremony: str,
    assertion: PasskeyAssertion,
) -> None:
    """Check the answer to the challenge, and end the ceremony.

    Raises Unverified (`passkey.*`), after recording it; Malformed (`passkey.malformed`), Refused (`person.*`,
    `revoked.*`, `held.*`), Unavailable.
    """
    desk = desk_of(passkeys)
    known = desk.register.find(assertion.credential_id)
    try:
        begun = desk.taken(ceremony, "confirm", holder=seen.name, now=recorder.clock.now())
        # Check the owner before the signature: another person's device must not advance a signature counter.
        if known is None or not known.person == begun.person == seen.person:
            raise PASSKEY_OTHER("this passkey is not registered for the person who is signed in here")
        check_passkey(authority, passkeys, assertion, challenge=begun.challenge)
    except Unverified as fault:
        await record_refused_session(
            recorder, seen, fault.code, shown_by=known.person if known is not None else ""
        )
        raise


async def record_refused_session(
    recorder: Recorder, seen: SessionSeen, code: str, *, shown_by: str = ""
) -> None:
    """Record that a session was not confirmed as its person's. shown_by: the claimed owner of the presented passkey.
    The endpoint must limit how often one session causes this. Raises Unavailable."""
    entry = session_refused(
        code,
        at=recorder.clock.now(),
        sealing=sealing_for(recorder, principal_subject(seen.person)),
        person=pseudonym_of(recorder, seen.person),
        person_name=seen.person,
        session=seen.name,
        shown_by=shown_by,
        browser=seen.browser,
        address=seen.address,
    )
    _, left = await record_entry(recorder, entry)
    if left is not None:
        raise left
