"""Issue one service account per lease: its role limits its rights, its token expires, and deleting the account ends
both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import anyio.lowlevel

from answerable.adapters.kubernetes_tokens.scope import TOKEN_SECONDS_MIN, faults_of, grant_of, rights_of
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import ACCOUNT_PREFIX, account_of, lease_of
from answerable.errors import Unavailable
from answerable.errors.codes.leases import LEASE_RENEWAL, LEASE_TAKEN, LEASE_TARGET
from answerable.ports.credential_issuer import PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from answerable.adapters.kubernetes_tokens.scope import Grant
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock

LABEL: Final = "answerable/lease"
LABEL_QUERY: Final = "answerable%2Flease"
OBJECT_PREFIX: Final = "ans-"
PAGE: Final = 500
PAGES_MAX: Final = 1_000
UNDO_SECONDS_MAX: Final = 30.0

_CONTINUE: Final = re.compile(r"[A-Za-z0-9_=-]{1,4096}")
_GONE: Final = 404
_TAKEN: Final = 409
_RBAC: Final = "apis/rbac.authorization.k8s.io/v1"
_KINDS: Final = (
    (_RBAC, "rolebindings"),
    (_RBAC, "roles"),
    ("api/v1", "serviceaccounts"),
)
"""Deletion order: first the rights, then the account."""


class Api(Protocol):
    """Client of the API server. Calls return status and JSON object, and raise Unavailable (`lease.target`)."""

    async def asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        headers: Mapping[str, str],
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        """Send one request. taken: error statuses that the caller handles itself."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class KubernetesIssuer:
    """Implements ports.credential_issuer.CredentialIssuer on the API of a cluster."""

    def __init__(
        self,
        *,
        api: Api,
        token: Callable[[], bytes],
        clock: Clock,
        namespaces: tuple[str, ...],
        audiences: tuple[str, ...] = (),
    ) -> None:
        """token: returns the broker's own token; called for each request, so that a rotated token takes effect.
        namespaces: those in which leases may exist and are searched for. audiences: of lease tokens; empty for the API
        server's own."""
        self._api = api
        self._own_token = token
        self._clock = clock
        self._namespaces = namespaces
        self._audiences = audiences
        self._places: dict[LeaseName, str] = {}

    @property
    def traits(self) -> IssuerTraits:
        """The API server enforces the role and the token's expiry. Requests are authorized one by one, so there are no
        sessions, but an open watch continues until the broker closes it."""
        return IssuerTraits(
            boundary="target", ends_by="target", cuts_sessions=False, ttl_seconds_min=TOKEN_SECONDS_MIN
        )

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return faults_of(scope, self._namespaces)

    async def issue(self, order: LeaseOrder) -> Credential:
        """Create account, role and token. A cancellation waits for the cluster's answer and then deletes what was
        created, so that nothing is in progress when the call has ended."""
        grant = grant_of(order.scope, self._namespaces)
        try:
            with anyio.CancelScope(shield=True):
                credential = await self._minted(order, grant)
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            await self._undone(order.name)
            raise
        return credential

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Always raises Refused (`lease.renewal`): the expiry is part of the signed token."""
        raise LEASE_RENEWAL("a Kubernetes token cannot be renewed: request another lease")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Delete role binding, role and service account: in the namespace where this process created them, else in
        every configured one. All deletions are tried; the first failure is raised. Deleting the account invalidates all
        its tokens, including lost ones."""
        failed: Unavailable | None = None
        place_made = self._places.get(name)
        for namespace in (place_made,) if place_made else self._namespaces:
            for place, kind in _KINDS:
                try:
                    await self._asked(
                        "DELETE", _path(place, namespace, kind, _object_of(name)), taken={_GONE}
                    )
                except Unavailable as error:
                    failed = failed or error
        if failed is not None:
            raise failed
        self._places.pop(name, None)
        return Revoked()

    async def live(self) -> tuple[LeaseName, ...]:
        """Return every lease of which any object exists, found by our label and a lease's object name."""
        names: set[LeaseName] = set()
        for namespace in self._namespaces:
            for place, kind in _KINDS:
                names |= await self._named(_path(place, namespace, kind))
        return tuple(sorted(names))

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Return the rules of the lease's role, as stored in the cluster."""
        for namespace in self._namespaces:
            path = _path(_RBAC, namespace, "roles", _object_of(name))
            status, role = await self._asked("GET", path, taken={_GONE})
            if status != _GONE:
                return rights_of(role.get("rules"))
        return ()

    async def close(self) -> None:
        """Close the connections of the broker's own account."""
        await self._api.close()

    async def _minted(self, order: LeaseOrder, grant: Grant) -> Credential:
        namespace, account = grant.namespace, _object_of(order.name)
        # 1. The account. A crash here leaves an account without rights and without a token.
        path = _path("api/v1", namespace, "serviceaccounts")
        body: dict[str, JSONValue] = {
            "automountServiceAccountToken": False,
            "metadata": _metadata(order.name),
        }
        status, _ = await self._asked("POST", path, body, taken={_TAKEN})
        if status == _TAKEN:
            raise LEASE_TAKEN(f"service account `{account}` exists already")
        self._places[order.name] = namespace
        try:
            # 2. Its rights. A crash here leaves rights for which nobody has a token.
            for kind, made in _rights(order.name, grant):
                await self._asked("POST", _path(_RBAC, namespace, kind), made)
            # 3. The token. A crash here leaves a token that nobody received, until the lease is revoked or the token
            # expires.
            seconds = max(TOKEN_SECONDS_MIN, (order.expires_at - self._clock.now()) // 1000)
            token = await self._token(f"{path}/{account}/token", seconds)
        except Unavailable as error:
            undone = await self._undone(order.name)
            raise Unavailable(
                error.message, code=error.code, port=PORT, effect="none" if undone else "unknown"
            ) from None
        secret = {"token": token} | ({"requests": grant.requests} if grant.requests else {})
        return Credential(
            lease=order.name,
            account=f"system:serviceaccount:{namespace}:{account}",
            # Computed with the local clock, which may differ from the cluster's: the token's seconds count from before
            # the answer arrived.
            expires_at=UnixMillis(self._clock.now() + seconds * 1000),
            secret=Secret(**secret),
        )

    async def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        token = self._own_token().decode("ascii", errors="replace").strip()
        return await self._api.asked(
            method, path, body, headers={"authorization": f"Bearer {token}"}, taken=taken
        )

    async def _token(self, path: str, seconds: int) -> str:
        spec: dict[str, JSONValue] = {"expirationSeconds": seconds}
        if self._audiences:
            spec["audiences"] = list(self._audiences)
        body: dict[str, JSONValue] = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": spec,
        }
        _, answer = await self._asked("POST", path, body)
        status = answer.get("status")
        token = status.get("token") if isinstance(status, dict) else None
        if not isinstance(token, str) or not token:
            raise LEASE_TARGET("the cluster answered a token request without a token", effect="unknown")
        return token

    async def _undone(self, name: LeaseName) -> bool:
        """Delete what was created. Return whether that succeeded."""
        with anyio.move_on_after(UNDO_SECONDS_MAX, shield=True):
            try:
                await self.revoke(name)
            except Unavailable:
                return False
            return True
        return False

    async def _named(self, path: str) -> set[LeaseName]:
        """Return the leases of the objects at one path: one kind in one namespace."""
        names: set[LeaseName] = set()
        more = ""
        for _ in range(PAGES_MAX):
            query = f"?labelSelector={LABEL_QUERY}&limit={PAGE}" + (f"&continue={more}" if more else "")
            _, answer = await self._asked("GET", path + query)
            names |= set(_names_in(answer.get("items")))
            metadata = answer.get("metadata")
            more = _continued(metadata.get("continue") if isinstance(metadata, dict) else None)
            if not more:
                break
        return names


def _names_in(items: JSONValue) -> Iterator[LeaseName]:
    for one in items if isinstance(items, list) else ():
        metadata = one.get("metadata") if isinstance(one, dict) else None
        called = str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
        if called.startswith(OBJECT_PREFIX) and (
            name := lease_of(called.replace(OBJECT_PREFIX, ACCOUNT_PREFIX, 1))
        ):
            yield name


def _continued(more: JSONValue) -> str:
    """Return the cluster's `continue` token, which must need no URL encoding; empty at the end of a list."""
    text = more if isinstance(more, str) else ""
    if text and not _CONTINUE.fullmatch(text):
        raise LEASE_TARGET("the cluster sent a list with an invalid continuation token")
    return text


def _metadata(name: LeaseName) -> dict[str, JSONValue]:
    return {"name": _object_of(name), "labels": {LABEL: name}}


def _rights(name: LeaseName, grant: Grant) -> tuple[tuple[str, dict[str, JSONValue]], ...]:
    """Return the lease's role and the binding of the role to the lease's account."""
    account = _object_of(name)
    role: dict[str, JSONValue] = {"metadata": _metadata(name), "rules": list(grant.rules)}
    binding: dict[str, JSONValue] = {
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": grant.namespace}],
    }
    return ("roles", role), ("rolebindings", binding)


def _object_of(name: LeaseName) -> str:
    """Return the name of the lease's objects. DNS names allow no underscore."""
    return account_of(name).replace(ACCOUNT_PREFIX, OBJECT_PREFIX, 1)


def _path(place: str, namespace: str, kind: str, name: str = "") -> str:
    """Return an API path. Nothing needs encoding: namespaces are checked as labels in the settings; kinds and names are
    ours."""
    return f"/{place}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")
