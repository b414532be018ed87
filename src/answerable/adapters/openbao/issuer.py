"""Issue one OpenBao child token per lease, and with it the lease's dynamic credential. Revoking the token ends both.
The token's metadata names the lease, so that any process can find it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

from answerable.adapters.openbao.login import FORBIDDEN
from answerable.adapters.openbao.scope import faults_of, grant_of
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of, checked_lease_name
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.leases import LEASE_GONE, LEASE_RENEWAL, LEASE_TAKEN, LEASE_TARGET, LEASE_UNTOLD
from answerable.ports.credential_issuer import PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.adapters.openbao.login import OpenBaoLogin
    from answerable.adapters.openbao.scope import Grant
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock

META: Final = "answerable_lease"
LOOKUPS_MAX: Final = 16
ACCESSORS_MAX: Final = 300_000
MEMBERS_MAX: Final = 32
UNDO_SECONDS_MAX: Final = 30.0

_GONE: Final = frozenset({400, 403, 404})
"""Status codes of OpenBao and Vault, by version, for an unknown accessor or lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What this process knows of a lease. lease_id: OpenBao's lease of the credential; empty until it is known, and
    again when it has ended, which `is_ended` records."""

    accessor: str = ""
    lease_id: str = ""
    parent_ends_ms: int = 0
    is_ended: bool = False


class OpenBaoIssuer:
    """Implements ports.credential_issuer.CredentialIssuer on OpenBao or Vault."""

    def __init__(
        self,
        *,
        login: OpenBaoLogin,
        paths: tuple[str, ...],
        token_role: str,
        seconds_max: int,
        clock: Clock,
    ) -> None:
        """paths: OpenBao paths that issue credentials. token_role: role by which child tokens are created, which limits
        their rights. seconds_max: longest life of a lease, renewals included."""
        self._login = login
        self._paths = paths
        self._token_role = token_role
        self._seconds_max = seconds_max
        self._clock = clock
        self._held: dict[LeaseName, _Held] = {}

    @property
    def traits(self) -> IssuerTraits:
        """The credential's role at OpenBao limits its rights, and OpenBao ends the credential in time. The target
        system may leave open sessions running: measured with PostgreSQL, whose sessions outlive their role."""
        return IssuerTraits(boundary="target", ends_by="target", cuts_sessions=False)

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return faults_of(scope, self._paths)

    async def issue(self, order: LeaseOrder) -> Credential:
        """Create child token and credential. A cancellation waits for OpenBao's answers and then revokes what was
        created."""
        grant = grant_of(order.scope, self._paths)
        if order.name in self._held:
            raise LEASE_TAKEN(f"a lease named `{order.name}` exists already")
        self._held[order.name] = _Held()
        try:
            with anyio.CancelScope(shield=True):
                credential = await self._minted(order, grant)
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            await self._undone(order.name)
            raise
        except Unavailable as error:
            undone = error.effect == "none" and not self._held[order.name].accessor
            undone = undone or await self._undone(order.name)
            if undone:
                self._held.pop(order.name, None)
            effect = "none" if undone else "unknown"
            raise Unavailable(
                error.message, code=error.code, port=PORT, effect="none" if effect == "none" else "unknown"
            ) from None
        return credential

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Renew the token first and then the credential: after a failure in between, the credential lasts no longer
        than before."""
        held = self._held.get(name)
        if held is None or not held.lease_id:
            raise LEASE_GONE("the OpenBao lease no longer exists, or another process created it")
        if expires_at > held.parent_ends_ms:
            raise LEASE_RENEWAL("the lease would outlive the broker's login, so it cannot be renewed")
        seconds = -(-(expires_at - self._clock.now()) // 1000)
        for path, what, known in (
            ("auth/token/renew-accessor", "accessor", held.accessor),
            ("sys/leases/renew", "lease_id", held.lease_id),
        ):
            body: dict[str, JSONValue] = {what: known, "increment": seconds}
            status, answer = await self._login.asked("POST", path, body, taken=_GONE)
            if status in _GONE and "not renewable" in str(answer.get("errors")):
                raise LEASE_RENEWAL("OpenBao does not renew credentials of this path")
            if status in _GONE:
                raise LEASE_GONE("OpenBao no longer has the lease")
            auth = answer.get("auth")
            given = (auth if isinstance(auth, dict) else answer).get("lease_duration")
            if not isinstance(given, int) or given < seconds - 1:
                raise LEASE_RENEWAL(f"OpenBao extended the lease by {given} seconds, expected {seconds}")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Revoke the credential and wait until the target system has removed it; then revoke the token. If only OpenBao
        knows what a token created, because another process created it or an answer was lost, OpenBao ends that in the
        background; the result reports this once."""
        held = self._held.get(name)
        if held is not None and held.lease_id:
            body: dict[str, JSONValue] = {"lease_id": held.lease_id, "sync": True}
            # For an unknown lease OpenBao reports success; if the target system failed to remove the credential, an
            # error.
            await self._login.asked("POST", "sys/leases/revoke", body)
            self._held[name] = replace(held, lease_id="", is_ended=True)
        if held is not None and held.accessor:
            await self._dropped(held.accessor)
            self._held.pop(name, None)
            return Revoked() if held.lease_id or held.is_ended else _left(self._latest())
        until = 0
        for accessor, found in (await self._tokens()).items():
            if found.name == name:
                until = max(until, found.ends_ms)
                await self._dropped(accessor)
        self._held.pop(name, None)
        return _left(until) if until and held is None else Revoked()

    async def live(self) -> tuple[LeaseName, ...]:
        """Return the leases whose tokens OpenBao still has. Looks up every accessor, so it is meant for starts and
        sweeps only."""
        return tuple(sorted({found.name for found in (await self._tokens()).values()}))

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Always raises Refused (`lease.untold`) for a live lease: a role at OpenBao defines the rights, in the target
        system's own language."""
        if name not in self._held and not any(
            found.name == name for found in (await self._tokens()).values()
        ):
            return ()
        raise LEASE_UNTOLD("OpenBao cannot report what a credential may do")

    async def close(self) -> None:
        """Close the connections, and forget the login token."""
        await self._login.close()

    async def _minted(self, order: LeaseOrder, grant: Grant) -> Credential:
        seconds = min(max(1, -(-(order.expires_at - self._clock.now()) // 1000)), self._seconds_max)
        parent = await self._login.token(seconds=seconds)
        # 1. A child token whose metadata names the lease. A crash here leaves a token that nobody received; its lease
        # name finds it.
        token, accessor = await self._child(order, seconds)
        self._held[order.name] = _Held(accessor=accessor, parent_ends_ms=parent.ends_ms)
        # 2. The credential, created with that token and therefore bound to it. A crash here leaves both; revoking the
        # token ends the credential too.
        _, answer = await self._login.with_token(token, "GET", grant.path)
        lease_id, lasts, data = answer.get("lease_id"), answer.get("lease_duration"), answer.get("data")
        if not isinstance(lease_id, str) or not lease_id or not isinstance(lasts, int):
            raise _odd(f"{grant.path} gave a secret that has no lease, and so no end: it is not used")
        self._held[order.name] = replace(self._held[order.name], lease_id=lease_id)
        texts = _texts(data)
        account = texts.pop("username", "")
        if grant.terms:
            texts["terms"] = grant.terms
        now = self._clock.now()
        ends = min(order.expires_at, now + lasts * 1000, parent.ends_ms)
        return Credential(
            lease=order.name, account=account, expires_at=UnixMillis(ends), secret=Secret(**texts)
        )

    async def _child(self, order: LeaseOrder, seconds: int) -> tuple[str, str]:
        body: dict[str, JSONValue] = {
            "meta": {META: order.name},
            "display_name": account_of(order.name),
            "ttl": f"{seconds}s",
            "explicit_max_ttl": f"{self._seconds_max}s",
            "renewable": True,
        }
        _, answer = await self._login.asked("POST", f"auth/token/create/{self._token_role}", body)
        auth = answer.get("auth")
        token = auth.get("client_token") if isinstance(auth, dict) else None
        accessor = auth.get("accessor") if isinstance(auth, dict) else None
        if not isinstance(token, str) or not isinstance(accessor, str) or not token or not accessor:
            raise _odd("it made a token without an accessor: roles of batch tokens cannot be used")
        return token, accessor

    async def _dropped(self, accessor: str) -> None:
        """Revoke a token and everything created with it. An unknown token is no error."""
        body: dict[str, JSONValue] = {"accessor": accessor}
        status, answer = await self._login.asked("POST", "auth/token/revoke-accessor", body, taken=_GONE)
        if status == FORBIDDEN and "accessor" not in str(answer.get("errors")):
            raise _odd("it does not let the broker revoke accessors", effect_none=True)

    async def _tokens(self) -> Mapping[str, _Found]:
        """Return every token of a lease, by accessor."""
        _, answer = await self._login.asked("LIST", "auth/token/accessors", taken={404})
        data = answer.get("data")
        keys = data.get("keys") if isinstance(data, dict) else None
        accessors = [str(one) for one in keys] if isinstance(keys, list) else []
        if len(accessors) > ACCESSORS_MAX:
            raise _odd(f"it has more than {ACCESSORS_MAX} tokens to look through", effect_none=True)
        found: dict[str, _Found] = {}
        left = iter(accessors)
        failed: list[Unavailable] = []

        async def look() -> None:
            for accessor in left:
                try:
                    if (one := await self._looked_up(accessor)) is not None:
                        found[accessor] = one
                except Unavailable as error:
                    failed.append(error)
                    return

        async with anyio.create_task_group() as tasks:
            for _ in range(min(LOOKUPS_MAX, len(accessors))):
                tasks.start_soon(look)
        if failed:
            raise failed[0]
        return found

    async def _looked_up(self, accessor: str) -> _Found | None:
        """Return the lease of a token; None for a token without one, or that has just ended."""
        body: dict[str, JSONValue] = {"accessor": accessor}
        status, answer = await self._login.asked("POST", "auth/token/lookup-accessor", body, taken=_GONE)
        data = answer.get("data")
        if status in _GONE or not isinstance(data, dict):
            return None
        meta, ttl = data.get("meta"), data.get("ttl")
        try:
            name = checked_lease_name(str(meta.get(META)) if isinstance(meta, dict) else "")
        except Malformed:
            return None
        seconds = ttl if isinstance(ttl, int) else self._seconds_max
        return _Found(name=name, ends_ms=self._clock.now() + seconds * 1000)

    def _latest(self) -> int:
        return self._clock.now() + self._seconds_max * 1000

    async def _undone(self, name: LeaseName) -> bool:
        """Revoke what was created. Return whether that succeeded."""
        with anyio.move_on_after(UNDO_SECONDS_MAX, shield=True):
            try:
                return (await self.revoke(name)).is_gone
            except Unavailable:
                return False
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    name: LeaseName
    ends_ms: int


def _texts(data: JSONValue) -> dict[str, str]:
    """Return the texts of a dynamic secret whose names are identifiers."""
    found = {
        name: value
        for name, value in (data.items() if isinstance(data, dict) else ())
        if isinstance(value, str) and name.isidentifier()
    }
    if not found or len(found) > MEMBERS_MAX:
        raise _odd(f"the secret has none, or more than {MEMBERS_MAX}, texts")
    return found


def _left(until: int) -> Revoked:
    told = "OpenBao ends in the background what was made with a token of which only it knows that"
    return Revoked(left=(told,), live_until=until)


def _odd(why: str, *, effect_none: bool = False) -> Unavailable:
    return LEASE_TARGET(f"OpenBao: {why}", effect="none" if effect_none else "unknown")
