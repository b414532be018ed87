"""Port: the passkeys of people, and the invitations with which people enrol them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.identity.people.invitation import Invitation
    from answerable.core.identity.people.passkey import Passkey


class PasskeyRegister(Protocol):
    """Promises: what `add`, `remove`, `count_up`, `invite` and `use_invitation` did is on stable storage when they
    return; an invitation is used at most once, and a sign count is accepted at most once, also among racing callers in
    any process; a removed passkey never becomes valid again; `find`, `of` and `all` are synchronous, do no I/O and
    return nothing removed. Codes are stored by digest; the codes themselves are stored nowhere.

    Raises only Unavailable (`register.*`) and, from `add` and `invite`, Malformed (`passkey.duplicate`, `passkey.full`,
    `invitation.duplicate`, `invitation.full`).
    """

    def add(self, passkey: Passkey) -> None:
        """Store a new passkey; an id that was ever stored is refused."""
        ...

    def find(self, credential_id: bytes) -> Passkey | None:
        """Return the valid passkey of this id, or None."""
        ...

    def of(self, person: PrincipalId) -> Sequence[Passkey]:
        """Return a person's valid passkeys, oldest first."""
        ...

    def all(self) -> Sequence[Passkey]:
        """Return all valid passkeys, oldest first."""
        ...

    def count_up(self, credential_id: bytes, count: int) -> bool:
        """Store the sign count that an assertion reported. False where it is not above the stored one, unless both are
        0, and where the passkey is not valid (any more)."""
        ...

    def remove(self, credential_id: bytes, *, at: UnixMillis) -> bool:
        """Invalidate the passkey. False when it was not valid. An id that was never stored cannot be added later,
        either."""
        ...

    def invite(self, invitation: Invitation) -> None:
        """Store an unused invitation; in the same step every earlier one of its person becomes invalid."""
        ...

    def invitation(self, digest: bytes) -> Invitation | None:
        """Return the invitation, used or not, or None. May read."""
        ...

    def use_invitation(self, digest: bytes, *, now: UnixMillis) -> Invitation | None:
        """Use up the invitation and return it; None when it is unknown, was used, has expired or was made after `now`.
        An expired one is used up all the same, so that setting the clock back cannot make it valid again."""
        ...

    def forget_invitations(self, *, before: UnixMillis) -> int:
        """Remove the invitations that expired before this time; return how many."""
        ...
