"""Sign people in with a passkey, or with the OpenID provider named in their registry entry.

Laws: a person who signs in is registered, active and not held; each challenge is answered once; refused sign-ins are
counted, and the ledger has the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.identity.people.passkey import asserted
from answerable.core.ledger.records_passkeys import sign_ins_refused
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.errors.codes.people import (
    PASSKEY_COUNTER,
    PASSKEY_UNKNOWN_UNVERIFIED,
    PERSON_NO_PROVIDER,
    PERSON_UNKNOWN,
)
from answerable.flows.recording.record_entry import record_entry
from answerable.flows.validity.person_validity import desk_of, person_standing

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.identity.people.passkey import Passkey, PasskeyAssertion
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.passkey_desk import Ceremony, PasskeyState
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person who has authenticated, with a passkey or as issuer and subject of an OpenID provider. shown_at: when
    they authenticated to that provider; 0 for a passkey, which means now."""

    person: PrincipalId
    passkey: Passkey | None = None
    oidc: tuple[str, str] | None = None
    shown_at: int = 0


def begin_sign_in(passkeys: PasskeyState | None, clock: Clock, entropy: Entropy, *, browser: str) -> Ceremony:
    """Return a challenge for any registered passkey. browser: in which the sign-in began. Raises Refused
    (`passkey.off`), Unavailable (`passkey.busy`)."""
    return desk_of(passkeys).begun("sign_in", holder=browser, entropy=entropy, now=clock.now())


def finish_sign_in(
    authority: AuthorityRegisters,
    passkeys: PasskeyState | None,
    ceremony: str,
    assertion: PasskeyAssertion,
    *,
    browser: str,
) -> SignedIn:
    """Check a passkey's answer to the challenge begun in this browser, and end the ceremony.

    Raises Unverified (`passkey.*`), Malformed (`passkey.malformed`), Refused (`person.*`, `revoked.*`, `held.*`),
    Unavailable.
    """
    desk = desk_of(passkeys)
    try:
        begun = desk.taken(ceremony, "sign_in", holder=browser, now=authority.clock.now())
        passkey = check_passkey(authority, passkeys, assertion, challenge=begun.challenge)
    except AnswerableError as fault:
        desk.refused[fault.code] += 1
        raise
    return SignedIn(person=passkey.person, passkey=passkey)


def check_passkey(
    authority: AuthorityRegisters,
    passkeys: PasskeyState | None,
    assertion: PasskeyAssertion,
    *,
    challenge: bytes,
) -> Passkey:
    """Verify that a registered passkey signed this challenge for our origins, and advance its signature counter
    durably.

    Raises Unverified (`passkey.*`), Malformed (`passkey.malformed`), Refused (`passkey.off`, `person.*`, `revoked.*`,
    `held.*`), Unavailable.
    """
    desk = desk_of(passkeys)
    passkey = desk.register.find(assertion.credential_id)
    if passkey is None:
        raise PASSKEY_UNKNOWN_UNVERIFIED("this passkey is not registered: it was removed, or never added")
    count = asserted(
        assertion,
        credential_id=passkey.id,
        public_key=passkey.public_key,
        challenge=challenge,
        rp_id=passkey.rp_id,
        origins=desk.origins,
        sign_count=passkey.sign_count,
    )
    person_standing(authority, passkeys, passkey.person, key=passkey.key)
    if not desk.register.count_up(passkey.id, count):
        raise PASSKEY_COUNTER(
            "the passkey was removed, or used with a higher signature counter, at the same moment"
        )
    return passkey


async def sign_in_by_provider(
    authority: AuthorityRegisters, asking: AskingState, token: str, *, nonce: str, issuer: str
) -> SignedIn:
    """Verify an ID token requested from this issuer for this nonce, and find the registered person of its subject.

    Raises Malformed and Unverified (`oidc.*`, `person.*`), Refused (`passkey.off`, `person.*`, `revoked.*`, `held.*`),
    Unavailable.
    """
    desk = desk_of(asking.passkeys)
    try:
        if asking.people is None:
            raise PERSON_NO_PROVIDER()
        seen = await asking.people.verify(token, nonce=nonce, issuer=issuer)
        pair = (seen.issuer, seen.subject)
        found = [one for one in authority.registry.current.principals.values() if one.oidc == pair]
        if len(found) != 1:
            raise PERSON_UNKNOWN(
                f"subject {shown(seen.subject)} of {shown(seen.issuer)} is not a registered "
                "person: add it to the person's `oidc`"
            )
        person = person_standing(authority, asking.passkeys, found[0].name)
    except AnswerableError as fault:
        desk.refused[fault.code] += 1
        raise
    return SignedIn(person=person.name, oidc=pair, shown_at=seen.logged_in_at)


def count_refused_sign_in(passkeys: PasskeyState | None, code: str) -> None:
    """Count a refused sign-in whose response from a provider does not match its request. Raises Refused
    (`passkey.off`)."""
    desk_of(passkeys).refused[code] += 1


async def record_refused_sign_ins(recorder: Recorder, passkeys: PasskeyState | None) -> None:
    """Record the number of refused sign-ins since the last call. Raises Unavailable; then the counts are kept for the
    next."""
    desk = passkeys
    if desk is None or not desk.refused:
        return
    counts = dict(desk.refused)
    desk.refused.clear()
    try:
        _, left = await record_entry(recorder, sign_ins_refused(counts, at=recorder.clock.now()))
    except Unavailable:
        desk.refused.update(counts)
        raise
    if left is not None:
        raise left
