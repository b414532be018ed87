"""Makes one account of the note service for each lease, and removes it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio

from answerable.targets import (
    LEASE_GONE,
    LEASE_SCOPE,
    LEASE_TAKEN,
    LEASE_TARGET,
    Credential,
    Entropy,
    IssuerTraits,
    LeaseName,
    LeaseOrder,
    Refused,
    Revoked,
    Scope,
    Secret,
    Unavailable,
    UnixMillis,
    account_of,
    lease_of,
    shown,
)
from answerable_notes.note_server import ADMIN
from answerable_notes.wire import FAILURES, Line, Place, SaysNo, logged_in

VERBS: Final = ("read", "write")
PASSWORD_BYTES: Final = 32
_FOLDER: Final = re.compile(r"[a-z0-9-]{1,64}")


class NotesIssuer:
    """Implements CredentialIssuer. A scope is `{"folder": "case-7", "verbs": ["read", "write"]}`. password: reads the
    password of the broker's own account, at each call."""

    traits = IssuerTraits(boundary="target", ends_by="target")

    def __init__(
        self, place: Place, *, password: Callable[[], str], entropy: Entropy, seconds_max: float
    ) -> None:
        self._place, self._password, self._entropy = place, password, entropy
        self._seconds_max = seconds_max

    def faults(self, scope: Scope) -> tuple[str, ...]:
        match scope.thaw():
            case {"folder": str(folder), "verbs": [*verbs], **rest} if not rest and verbs:
                odd = [one for one in verbs if one not in VERBS]
                if odd:
                    return (f"{shown(str(odd[0]))} is no verb: there are {', '.join(VERBS)}",)
                return () if _FOLDER.fullmatch(folder) else ("`folder` has 1 to 64 of a-z, 0-9 and -",)
        return ("a scope has `folder` and `verbs`, neither empty, and nothing else",)

    async def issue(self, order: LeaseOrder) -> Credential:
        if faults := self.faults(order.scope):
            raise LEASE_SCOPE(f"the scope cannot be granted: {faults[0]}", reasons=faults)
        granted: Any = order.scope.thaw()
        account, password = account_of(order.name), self._entropy.bytes(PASSWORD_BYTES).hex()
        async with self._asking(LEASE_TAKEN(f"{shown(account)} is in use")) as line:
            await line.ask(
                do="create", account=account, password=password, expires=order.expires_at, **granted
            )
        return Credential(
            lease=order.name,
            account=account,
            expires_at=order.expires_at,
            secret=Secret(password=password),
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        async with self._asking(LEASE_GONE(f"lease {shown(name)} is gone")) as line:
            await line.ask(do="extend", account=account_of(name), expires=expires_at)

    async def revoke(self, name: LeaseName) -> Revoked:
        async with self._asking() as line:
            return Revoked(sessions_cut=await line.ask(do="remove", account=account_of(name)))

    async def live(self) -> tuple[LeaseName, ...]:
        async with self._asking() as line:
            accounts = await line.ask(do="list")
        return tuple(name for one in accounts if (name := lease_of(one)) is not None)

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        if name not in await self.live():
            return ()
        async with self._asking() as line:
            return tuple(await line.ask(do="show", account=account_of(name)))

    async def close(self) -> None:
        """Keep nothing open between calls."""

    @asynccontextmanager
    async def _asking(self, refusal: Refused | None = None) -> AsyncIterator[Line]:
        """Yield a connection of the broker's own account; what fails on it is raised as the port promises. refusal: for
        what the service refuses after the login."""
        password, is_in = self._password(), False
        try:
            with anyio.fail_after(self._seconds_max):
                async with logged_in(self._place, ADMIN, password) as line:
                    is_in = True
                    yield line
        except SaysNo as no:
            raise (refusal if is_in and refusal is not None else _away(str(no))) from None
        except (TimeoutError, *FAILURES) as failed:
            raise _away(type(failed).__name__, is_in) from None


def _away(why: str, was_asked: bool = False) -> Unavailable:
    return LEASE_TARGET(f"the note service: {why}", effect="unknown" if was_asked else "none")
