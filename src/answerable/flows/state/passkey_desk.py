"""What signing in and passkeys need beside the walk: where they are kept, for which pages they are, what began."""

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
"""From challenge to answer: as long as a person may look for a key."""
CEREMONIES_MAX: Final = 2_000
"""Under way at a time. Past it nobody can begin one until some have ended."""
_ID_BYTES: Final = 16

CeremonyKind = Literal["sign_in", "confirm", "enrol", "enrol_own"]
"""What a ceremony is for: to open a session, to show once more who its person is, to bring a passkey in by an
invitation, or by a session. One of a kind finishes nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """A challenge that waits for a device. person: who must answer; empty for whoever signs in. holder: who began it
    and alone finishes it, a session or, where there is none, a browser. invitation: digest of the code that it came
    by; empty for a session."""

    id: str
    kind: CeremonyKind
    challenge: bytes
    expires_at: UnixMillis
    person: PrincipalId
    holder: str
    invitation: bytes = b""


@dataclass(slots=True, kw_only=True)
class PasskeyState:
    """rp_id: the name that passkeys are bound to. origins: of the pages at which they may sign. roots: PEM certificates
    of whom to believe the model of a device from. groups: whose members may sign in; empty for every registered person.
    refused: sign-ins that were turned away and are not written down yet, by code. ceremonies: of this process alone."""

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
        """A new ceremony with a challenge of its own. Raises Unavailable (`passkey.busy`)."""
        if len(self.ceremonies) >= self.ceremonies_max:
            self.ceremonies = {name: one for name, one in self.ceremonies.items() if now < one.expires_at}
        if len(self.ceremonies) >= self.ceremonies_max:
            raise PASSKEY_BUSY("too many people sign in at this moment: try again in a minute")
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
        """The ceremony of this id, kind and holder, which is over by that in any case.

        Raises Unverified (`passkey.ceremony`, `passkey.purpose`, `passkey.holder`).
        """
        one = self.ceremonies.pop(name, None)
        if one is None or now >= one.expires_at:
            raise PASSKEY_CEREMONY(
                f"this took longer than {CEREMONY_SECONDS_MAX} seconds, or was answered before: start again"
            )
        if one.kind != kind:
            raise PASSKEY_PURPOSE()
        if one.holder != holder:
            raise PASSKEY_HOLDER()
        return one


def no_desk() -> Refused:
    """What to raise where nobody can sign in."""
    return PASSKEY_OFF()
