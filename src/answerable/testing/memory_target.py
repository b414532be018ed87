"""A target in memory with accounts, sessions and rights, for tests and benchmarks.

Its grammar of scopes is `{"verbs": ["get", "set", "delete"], "keys": ["..."]}`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.lease.credential import Credential, IssuerTraits, Performed, Revoked, Secret
from answerable.core.lease.name import account_of, lease_of
from answerable.errors import Refused, shown
from answerable.errors.codes.leases import (
    LEASE_GONE,
    LEASE_SCOPE,
    LEASE_TAKEN,
    LEASE_TARGET,
    TARGET_NO,
    TARGET_REFUSED,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.upstream import Progress

VERBS: Final = ("delete", "get", "set")
SECRET_BYTES: Final = 16


@dataclass(slots=True, kw_only=True)
class _Account:
    password: str
    verbs: frozenset[str]
    keys: frozenset[str]
    expires_at: UnixMillis
    sessions: set[int] = field(default_factory=set)


class MemoryTarget:
    """Ports CredentialIssuer and BrokeredTarget. reachable: set to False to answer nobody. traits_now: the reported
    traits.

    pauses: seconds that each answer takes. values: stored values. done: performed actions, as account, tool and key.
    """

    def __init__(self, *, clock: Clock, entropy: Entropy, pauses: float = 0.0) -> None:
        self._clock, self._entropy, self._pauses = clock, entropy, pauses
        self._accounts: dict[str, _Account] = {}
        self._sessions = 0
        self.reachable = True
        self.traits_now = IssuerTraits(boundary="target", ends_by="target")
        self.values: dict[str, str] = {}
        self.done: list[tuple[str, str, str]] = []

    # --- the issuer ---

    @property
    def traits(self) -> IssuerTraits:
        return self.traits_now

    def faults(self, scope: Scope) -> tuple[str, ...]:
        match scope.thaw():
            case {"verbs": [*verbs], "keys": [*keys], **rest} if not rest and verbs and keys:
                odd = [str(verb) for verb in verbs if verb not in VERBS]
                if odd:
                    return tuple(f"{shown(verb)} is no verb: there are {', '.join(VERBS)}" for verb in odd)
                return () if all(isinstance(key, str) for key in keys) else ("`keys` are texts",)
            case _:
                return ("a scope has `verbs` and `keys`, neither empty, and nothing else",)

    async def issue(self, order: LeaseOrder) -> Credential:
        faults = self.faults(order.scope)
        if faults:
            raise LEASE_SCOPE(f"the scope cannot be granted: {faults[0]}", reasons=faults)
        await self._answers()
        account = account_of(order.name)
        if account in self._accounts:
            raise LEASE_TAKEN(f"{shown(account)} is in use")
        match order.scope.thaw():
            case {"verbs": [*verbs], "keys": [*keys]}:
                password = self._entropy.bytes(SECRET_BYTES).hex()
                self._accounts[account] = _Account(
                    password=password,
                    verbs=frozenset(str(verb) for verb in verbs),
                    keys=frozenset(str(key) for key in keys),
                    expires_at=order.expires_at,
                )
                # If the answer is lost on its way back, the account stays behind.
                await self._answers()
                return Credential(
                    lease=order.name,
                    account=account,
                    expires_at=order.expires_at,
                    secret=Secret(password=password),
                )
        raise AssertionError

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        await self._answers()
        account = self._accounts.get(account_of(name))
        if account is None:
            raise LEASE_GONE(f"lease {shown(name)} is gone")
        account.expires_at = max(account.expires_at, expires_at)

    async def revoke(self, name: LeaseName) -> Revoked:
        await self._answers()
        account = self._accounts.pop(account_of(name), None)
        return Revoked(sessions_cut=len(account.sessions) if account is not None else 0)

    async def live(self) -> tuple[LeaseName, ...]:
        await self._answers()
        return tuple(name for account in self._accounts if (name := lease_of(account)) is not None)

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        await self._answers()
        account = self._accounts.get(account_of(name))
        if account is None:
            return ()
        return tuple(sorted(f"{verb} {key}" for verb in account.verbs for key in account.keys))

    # --- the target ---

    async def close(self) -> None:
        """Hold nothing to close."""

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        text: dict[str, JSONValue] = {"type": "string", "maxLength": 1000}
        return tuple(
            {
                "name": verb,
                "title": f"{verb.capitalize()} a value",
                "description": f"To {verb} the value of a key.",
                "inputSchema": {
                    "type": "object",
                    "properties": {"key": text, **({"value": text} if verb == "set" else {})},
                    "required": ["key", *(["value"] if verb == "set" else [])],
                    "additionalProperties": False,
                },
                "annotations": {
                    "readOnlyHint": verb == "get",
                    "destructiveHint": verb == "delete",
                    "idempotentHint": True,
                    "openWorldHint": False,
                },
            }
            for verb in VERBS
        )

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncGenerator[MemorySession]:
        await self._answers()
        account = self._account(credential)
        self._sessions += 1
        number = self._sessions
        account.sessions.add(number)
        try:
            yield MemorySession(self, credential, number)
        finally:
            account.sessions.discard(number)

    def act(self, credential: Credential, tool: str, key: str, value: str = "") -> str | None:
        """Perform an action at the target with this credential. Raises Refused (`target.no`)."""
        account = self._account(credential)
        if tool not in account.verbs or key not in account.keys:
            raise TARGET_NO(f"{shown(credential.account)} may not {tool} {shown(key)}")
        self.done.append((credential.account, tool, key))
        if tool == "set":
            self.values[key] = value
        return self.values.pop(key, None) if tool == "delete" else self.values.get(key)

    def _account(self, credential: Credential) -> _Account:
        account = self._accounts.get(credential.account)
        if (
            account is None
            or account.password != credential.secret.reveal("password")
            or self._clock.now() >= account.expires_at
        ):
            raise TARGET_REFUSED()
        return account

    async def _answers(self) -> None:
        await anyio.sleep(self._pauses)
        if not self.reachable:
            raise LEASE_TARGET("the target cannot be reached")


class MemorySession:
    """Port TargetSession."""

    def __init__(self, target: MemoryTarget, credential: Credential, number: int) -> None:
        self._target, self._credential, self._number = target, credential, number

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        key, value = str(arguments.get("key", "")), str(arguments.get("value", ""))
        session = (("memory_session", str(self._number)),)
        try:
            found = self._target.act(self._credential, tool, key, value)
        except Refused as no:
            text = [{"type": "text", "text": no.message}]
            return Performed(result={"content": text, "isError": True}, session=session)
        return Performed(result={"content": [{"type": "text", "text": found or ""}]}, session=session)
