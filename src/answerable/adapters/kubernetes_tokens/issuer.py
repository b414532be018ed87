"""One service account a lease: its role says what it may do, its token says until when, deleting it ends both."""

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
"""In the order in which they are taken away: what it may do, then itself."""


class Api(Protocol):
    """What asks the API server: status and object of an answer. Raises Unavailable (`lease.target`)."""

    async def asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        headers: Mapping[str, str],
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        """taken: statuses of refusals that the caller understands."""
        ...

    async def close(self) -> None:
        """End its connections."""
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
        """token: the broker's own, read anew for each request, so that one that was rotated is taken. namespaces: those
        in which leases may be, and in which one is looked for. audiences: of tokens; empty for the API server's own.
        """
        self._api = api
        self._own_token = token
        self._clock = clock
        self._namespaces = namespaces
        self._audiences = audiences
        self._places: dict[LeaseName, str] = {}

    @property
    def traits(self) -> IssuerTraits:
        """The API server keeps a token to its role, and ends it in time. There are no sessions: each request is judged
        anew, but a watch that is open goes on until the broker closes it."""
        return IssuerTraits(
            boundary="target", ends_by="target", cuts_sessions=False, ttl_seconds_min=TOKEN_SECONDS_MIN
        )

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return faults_of(scope, self._namespaces)

    async def issue(self, order: LeaseOrder) -> Credential:
        """As the port says. Not cut off in the middle: a cancellation waits for the cluster's answer, and then takes
        back what was made, so that nothing is on its way when the call has ended."""
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
        """Never: a token is signed with its end."""
        raise LEASE_RENEWAL("a token of Kubernetes cannot be renewed: mint another lease")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Role binding, role, service account: in the namespace where this process made it, else in every one. All are
        tried; the first failure is raised. Deleting the account voids its tokens, those that nobody remembers, too."""
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
        """Whatever has our label and one of our names, also if only a part of a lease was made."""
        names: set[LeaseName] = set()
        for namespace in self._namespaces:
            for place, kind in _KINDS:
                names |= await self._named(_path(place, namespace, kind))
        return tuple(sorted(names))

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """The rules of its role, as the cluster keeps them."""
        for namespace in self._namespaces:
            path = _path(_RBAC, namespace, "roles", _object_of(name))
            status, role = await self._asked("GET", path, taken={_GONE})
            if status != _GONE:
                return rights_of(role.get("rules"))
        return ()

    async def close(self) -> None:
        """End the connections of the broker's own account."""
        await self._api.close()

    async def _minted(self, order: LeaseOrder, grant: Grant) -> Credential:
        namespace, account = grant.namespace, _object_of(order.name)
        # 1. The account. A crash here leaves one that may do nothing and has no token.
        path = _path("api/v1", namespace, "serviceaccounts")
        body: dict[str, JSONValue] = {
            "automountServiceAccountToken": False,
            "metadata": _metadata(order.name),
        }
        status, _ = await self._asked("POST", path, body, taken={_TAKEN})
        if status == _TAKEN:
            raise LEASE_TAKEN(f"a service account `{account}` is there already")
        self._places[order.name] = namespace
        try:
            # 2. What it may do. A crash here leaves rights that nobody has a token for.
            for kind, made in _rights(order.name, grant):
                await self._asked("POST", _path(_RBAC, namespace, kind), made)
            # 3. The token. A crash here leaves one that nobody has, until it is revoked by its name or its time is up.
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
            # By our own clock: the cluster's may be another, the number of seconds is the same. They count from before
            # its answer came.
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
            raise LEASE_TARGET("the cluster: it answered a request for a token with none", effect="unknown")
        return token

    async def _undone(self, name: LeaseName) -> bool:
        """Take back what was made; whether that could be done."""
        with anyio.move_on_after(UNDO_SECONDS_MAX, shield=True):
            try:
                await self.revoke(name)
            except Unavailable:
                return False
            return True
        return False

    async def _named(self, path: str) -> set[LeaseName]:
        """Whose objects of one kind there are in one namespace."""
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
    """The cluster's own mark of where a list goes on, if it is one that needs no encoding."""
    text = more if isinstance(more, str) else ""
    if text and not _CONTINUE.fullmatch(text):
        raise LEASE_TARGET("the cluster: a list goes on at a place that cannot be asked for")
    return text


def _metadata(name: LeaseName) -> dict[str, JSONValue]:
    return {"name": _object_of(name), "labels": {LABEL: name}}


def _rights(name: LeaseName, grant: Grant) -> tuple[tuple[str, dict[str, JSONValue]], ...]:
    """A role of the grant's rules, and what binds it to the account of the lease."""
    account = _object_of(name)
    role: dict[str, JSONValue] = {"metadata": _metadata(name), "rules": list(grant.rules)}
    binding: dict[str, JSONValue] = {
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": grant.namespace}],
    }
    return ("roles", role), ("rolebindings", binding)


def _object_of(name: LeaseName) -> str:
    """What its objects are called: DNS names have no underscore."""
    return account_of(name).replace(ACCOUNT_PREFIX, OBJECT_PREFIX, 1)


def _path(place: str, namespace: str, kind: str, name: str = "") -> str:
    """Namespaces are labels by the settings' check, kinds and names are ours: nothing here needs encoding."""
    return f"/{place}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")
