"""State of sign-in and passkeys: the register, the pages they are for, and the WebAuthn ceremonies under way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.passkey import CHALLENGE_BYTES
from answerable.errors import Refused
from answerable.errors.codes.people import (
    PASSKEY_BUSY,
    PASSKEY_CEREMONY,
    PASSKEY_HOLDER,
    PASSKEY_OFF,
    PASSKEY_PURPOSE,
)

if TYPE_CHECKING:
    from answerable.ports.entropy import Entropy
    from answerable.ports.passkey_register import PasskeyRegister

CEREMONY_SECONDS_MAX: Final = 300
"""From challenge to answer: time for a person to find the security key."""
CEREMONIES_MAX: Final = 2_000
"""Ceremonies under way at a time. When full, new ones are refused until some have ended."""
_ID_BYTES: Final = 16

CeremonyKind = Literal["sign_in", "confirm", "enrol", "enrol_own"]
"""Purpose of a ceremony: open a session, confirm its person again, enrol a passkey by an invitation, or enrol one from
a session. A ceremony of one kind cannot finish another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """A challenge that waits for a device.

    `person`: who must answer; empty for any sign-in. `holder`: the session, or the browser if there is none, that began
    the ceremony and alone may finish it. `invitation`: digest of the invitation code; empty for a session.
    """

    id: str
    kind: CeremonyKind
    challenge: bytes
    expires_at: UnixMillis
    person: PrincipalId
    holder: str
    invitation: bytes = b""


@dataclass(slots=True, kw_only=True)
class PasskeyState:
    """Sign-in by passkeys.

    `rp_id`: the relying party id that passkeys are bound to. `origins`: of the pages at which they may sign.
    `roots`: PEM certificates that are trusted to attest the model of a device. `groups`: whose members may sign in;
    empty for every registered person. `refused`: refused sign-ins not written down yet, by code. `ceremonies`: in this
    process only.
    """

    register: PasskeyRegister
    rp_id: str
    origins: tuple[str, ...]
    roots: tuple[bytes, ...] = ()
    groups: tuple[str, ...] = ()
    ceremonies_max: int = CEREMONIES_MAX
    ceremonies: dict[str, Ceremony] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def begun(
        self,
        kind: CeremonyKind,
        *,
        holder: str,
        entropy: Entropy,
        now: UnixMillis,
        person: PrincipalId | None = None,
        invitation: bytes = b"",
    ) -> Ceremony:
        """Begin a ceremony with a fresh challenge. Raises Unavailable (`passkey.busy`)."""
        if len(self.ceremonies) >= self.ceremonies_max:
            self.ceremonies = {name: one for name, one in self.ceremonies.items() if now < one.expires_at}
        if len(self.ceremonies) >= self.ceremonies_max:
            raise PASSKEY_BUSY("too many sign-ins are in progress: try again in a minute")
        one = Ceremony(
            id=to_base64url(entropy.bytes(_ID_BYTES)),
            kind=kind,
            challenge=entropy.bytes(CHALLENGE_BYTES),
            expires_at=UnixMillis(now + CEREMONY_SECONDS_MAX * 1000),
            person=person or PrincipalId(""),
            holder=holder,
            invitation=invitation,
        )
        self.ceremonies[one.id] = one
        return one

    def taken(self, name: str, kind: CeremonyKind, *, holder: str, now: UnixMillis) -> Ceremony:
        """Remove and return the ceremony of this id, kind and holder. It is removed even if the check fails.

        Raises Unverified (`passkey.ceremony`, `passkey.purpose`, `passkey.holder`).
        """
        one = self.ceremonies.pop(name, None)
        if one is None or now >= one.expires_at:
            raise PASSKEY_CEREMONY(
                f"this passkey request has expired after {CEREMONY_SECONDS_MAX} seconds, or was "
                "answered before: start again"
            )
        if one.kind != kind:
            raise PASSKEY_PURPOSE()
        if one.holder != holder:
            raise PASSKEY_HOLDER()
        return one


def no_desk() -> Refused:
    """Return the refusal for a process without sign-in."""
    return PASSKEY_OFF()
