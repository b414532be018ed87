"""Passkeys and invitations that live as long as the process."""

from __future__ import annotations

import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from answerable.core.identity.invitation import INVITATIONS_MAX
from answerable.core.identity.passkey import PASSKEYS_MAX, check_room
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.invitation import Invitation
    from answerable.core.identity.passkey import Passkey
    from answerable.core.identity.principal import PrincipalId, UnixMillis


class MemoryPasskeyRegister:
    """Implements ports.passkey_register.PasskeyRegister."""

    def __init__(self, *, passkeys_max: int = PASSKEYS_MAX, invitations_max: int = INVITATIONS_MAX) -> None:
        self._lock = threading.Lock()
        self._passkeys: dict[bytes, Passkey] = {}
        self._removed: set[bytes] = set()
        self._invitations: dict[bytes, Invitation] = {}
        self._passkeys_max, self._invitations_max = passkeys_max, invitations_max

    def add(self, passkey: Passkey) -> None:
        """As the port says."""
        with self._lock:
            if passkey.id in self._passkeys or passkey.id in self._removed:
                raise Malformed("this passkey is, or was, registered already", code="passkey.duplicate")
            held = sum(one.person == passkey.person for one in self._passkeys.values())
            check_room(passkey.person, held=held, all_held=len(self._passkeys), all_max=self._passkeys_max)
            self._passkeys[passkey.id] = passkey

    def find(self, credential_id: bytes) -> Passkey | None:
        """As the port says."""
        return self._passkeys.get(credential_id)

    def of(self, person: PrincipalId) -> Sequence[Passkey]:
        """As the port says."""
        return tuple(one for one in self.all() if one.person == person)

    def all(self) -> Sequence[Passkey]:
        """As the port says."""
        with self._lock:
            return tuple(self._passkeys.values())

    def count_up(self, credential_id: bytes, count: int) -> bool:
        """As the port says."""
        with self._lock:
            found = self._passkeys.get(credential_id)
            if found is None or ((count or found.sign_count) and count <= found.sign_count):
                return False
            self._passkeys[credential_id] = changed(found, sign_count=count)
            return True

    def remove(self, credential_id: bytes, *, at: UnixMillis) -> bool:
        """As the port says."""
        with self._lock:
            self._removed.add(credential_id)
            return self._passkeys.pop(credential_id, None) is not None

    def invite(self, invitation: Invitation) -> None:
        """As the port says."""
        with self._lock:
            if invitation.digest in self._invitations:
                raise Malformed("this invitation is registered already", code="invitation.duplicate")
            if len(self._invitations) >= self._invitations_max:
                message = f"there are {self._invitations_max} invitations, the most there can be: wait a day"
                raise Malformed(message, code="invitation.full")
            for digest, one in self._invitations.items():
                if one.person == invitation.person and one.used_at is None:
                    self._invitations[digest] = changed(one, used_at=invitation.created_at)
            self._invitations[invitation.digest] = invitation

    def invitation(self, digest: bytes) -> Invitation | None:
        """As the port says."""
        return self._invitations.get(digest)

    def use_invitation(self, digest: bytes, *, now: UnixMillis) -> Invitation | None:
        """As the port says."""
        with self._lock:
            found = self._invitations.get(digest)
            if found is None or found.used_at is not None or now < found.created_at:
                return None
            self._invitations[digest] = used = changed(found, used_at=now)
            return used if found.is_good(now) else None

    def forget_invitations(self, *, before: UnixMillis) -> int:
        """As the port says."""
        with self._lock:
            old = [digest for digest, one in self._invitations.items() if one.expires_at < before]
            for digest in old:
                del self._invitations[digest]
            return len(old)
