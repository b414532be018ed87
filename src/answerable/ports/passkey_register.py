"""Port: the passkeys of people, and the invitations by which they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.identity.people.invitation import Invitation
    from answerable.core.identity.people.passkey import Passkey


class PasskeyRegister(Protocol):
    """Promises: what `add`, `remove`, `count_up`, `invite` and `use_invitation` did is on stable storage when they
    return; an invitation is used at most once, and a sign count is passed at most once, whoever races, in this process
    and in others; a passkey that was removed never stands again; `find`, `of` and `all` are synchronous, do no I/O and
    show nothing that was removed. Codes are known by their digest; they themselves are nowhere.

    Raises only Unavailable (`register.*`) and, from `add` and `invite`, Malformed (`passkey.duplicate`, `passkey.full`,
    `invitation.duplicate`, `invitation.full`).
    """

    def add(self, passkey: Passkey) -> None:
        """Keep a new one; one whose id was ever here is refused."""
        ...

    def find(self, credential_id: bytes) -> Passkey | None:
        """The one of this id that stands, or None."""
        ...

    def of(self, person: PrincipalId) -> Sequence[Passkey]:
        """Those of a person that stand, oldest first."""
        ...

    def all(self) -> Sequence[Passkey]:
        """All that stand, oldest first."""
        ...

    def count_up(self, credential_id: bytes, count: int) -> bool:
        """Note the sign count that an assertion told; False where it is not above the one that is kept, unless both are
        0, and where the passkey does not stand (any more)."""
        ...

    def remove(self, credential_id: bytes, *, at: UnixMillis) -> bool:
        """It does not stand any more; False when it did not. One that was never here cannot come in later, either."""
        ...

    def invite(self, invitation: Invitation) -> None:
        """Keep an invitation that was not used yet; every earlier one of its person is over by that, in one step."""
        ...

    def invitation(self, digest: bytes) -> Invitation | None:
        """The invitation, used or not, or None. May read."""
        ...

    def use_invitation(self, digest: bytes, *, now: UnixMillis) -> Invitation | None:
        """Use it up; None when there is none, when it was used, when it has expired or was made after `now`. An expired
        one is used up all the same, so that no clock that is set back later makes it good."""
        ...

    def forget_invitations(self, *, before: UnixMillis) -> int:
        """Drop those that expired before this time; tells how many."""
        ...
