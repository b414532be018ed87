"""Call the lease broker over HTTP on its Unix socket (port LeaseBroker)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import httpx2
import msgspec

from answerable.connection_fault import connection_fault
from answerable.core.lease.credential import IssuerTraits
from answerable.core.lease.lease import Lease
from answerable.core.lease.own_account import OwnAccount
from answerable.core.lease.use import Right
from answerable.core.lease.wire import BODY_BYTES_MAX, CONTROL_PATH, HOST, LISTED_MAX
from answerable.errors import shown
from answerable.errors.codes.leases import BROKER_FAILED, BROKER_UNREACHABLE
from answerable.ports.lease_broker import BrokerTarget, DueSecret, EndedLeases
from answerable.ports.lease_register import LeaseChange
from answerable.unix_http import no_tls

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.lease import Under
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.wire import LeaseList

CONNECT_SECONDS_MAX: Final = 2.0
ANSWER_SECONDS_MAX: Final = 20.0
LIST_SECONDS_MAX: Final = 8.0
"""Less than a command waits for the server to read something, so that the user hears that the broker is silent."""

Answer = TypeVar("Answer")
_encoder: Final = msgspec.json.Encoder()


class _Ended(msgspec.Struct, frozen=True, kw_only=True):
    ended: tuple[Lease, ...]
    unrevoked: tuple[Lease, ...]
    more: int


class _Recalled(msgspec.Struct, frozen=True, kw_only=True):
    unknown: int


class _Changed(msgspec.Struct, frozen=True, kw_only=True):
    last: int
    changes: list[tuple[int, Lease]]


class _Listed(msgspec.Struct, frozen=True, kw_only=True):
    leases: list[Lease]


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    traits: IssuerTraits
    own: tuple[OwnAccount, ...] = ()


class _Targets(msgspec.Struct, frozen=True, kw_only=True):
    targets: list[_Target]


class _Strays(msgspec.Struct, frozen=True, kw_only=True):
    strays: list[tuple[str, str, bool]]
    faults: dict[str, str]


class _Secrets(msgspec.Struct, frozen=True, kw_only=True):
    due: list[DueSecret]


class _Rights(msgspec.Struct, frozen=True, kw_only=True):
    rights: list[Right]


class _Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    grants: dict[str, Any] | None


class HttpLeaseBroker:
    """Implements ports.lease_broker.LeaseBroker. Each call opens its own connection: calls are rare, and a call that
    waits for changes must not delay others."""

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)

    async def end(self, names: Sequence[Under], *, why: str, wait_seconds: float) -> EndedLeases:
        asked = {"names": names, "why": why, "wait_seconds": wait_seconds}
        answer = await self._ask("end", asked, _Ended, wait_seconds + ANSWER_SECONDS_MAX)
        return EndedLeases(ended=answer.ended, unrevoked=answer.unrevoked, more=answer.more)

    async def recall(self, log: str, named: Sequence[tuple[LeaseName, str]]) -> int:
        return (await self._ask("recall", {"log": log, "named": named}, _Recalled)).unknown

    async def changes(
        self, log: str, after: int | None, *, wait_seconds: float
    ) -> tuple[int, Sequence[LeaseChange]]:
        asked = {"log": log, "after": after, "wait_seconds": wait_seconds}
        answer = await self._ask("changes", asked, _Changed, wait_seconds + ANSWER_SECONDS_MAX)
        return answer.last, [LeaseChange(*one) for one in answer.changes]

    async def leases(self, which: LeaseList, limit: int = LISTED_MAX, *, after: str = "") -> Sequence[Lease]:
        asked = {"which": which, "limit": limit, "after": after}
        return (await self._ask("leases", asked, _Listed, LIST_SECONDS_MAX)).leases

    async def targets(self) -> Sequence[BrokerTarget]:
        found = (await self._ask("targets", {}, _Targets)).targets
        return [BrokerTarget(name=one.name, kind=one.kind, traits=one.traits, own=one.own) for one in found]

    async def strays(self) -> tuple[Sequence[tuple[str, str, bool]], dict[str, str]]:
        answer = await self._ask("strays", {}, _Strays)
        return answer.strays, answer.faults

    async def due_secrets(self) -> Sequence[DueSecret]:
        return (await self._ask("secrets", {}, _Secrets)).due

    async def rights(self, target: str, grants: JSONValue) -> Sequence[Right]:
        return (await self._ask("rights", {"target": target, "grants": grants}, _Rights)).rights

    async def narrowed(self, target: str, grants: JSONValue, kept: Sequence[str]) -> JSONValue:
        asked = {"target": target, "grants": grants, "kept": [*kept]}
        return (await self._ask("narrow", asked, _Narrowed)).grants

    async def _ask(
        self, what: str, members: dict[str, Any], kind: type[Answer], seconds: float = ANSWER_SECONDS_MAX
    ) -> Answer:
        """Post one request and decode the answer. Raises Unavailable: `broker.unreachable` (nothing was sent),
        `broker.failed`."""
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS_MAX)
        transport = httpx2.AsyncHTTPTransport(uds=self._socket, verify=no_tls())
        try:
            with anyio.fail_after(seconds):
                async with httpx2.AsyncClient(
                    transport=transport, timeout=timeout, trust_env=False
                ) as client:
                    url = f"http://{HOST}{CONTROL_PATH}{what}"
                    response = await client.post(url, content=_encoder.encode(members))
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise BROKER_UNREACHABLE() from None
        except (httpx2.HTTPError, TimeoutError) as error:
            is_late = isinstance(error, TimeoutError | httpx2.TimeoutException)
            why = f"no answer within {seconds:g} s" if is_late else connection_fault(error)
            raise BROKER_FAILED(f"the broker did not answer: {why}") from None
        if response.status_code != 200 or len(response.content) > 8 * BODY_BYTES_MAX:
            raise BROKER_FAILED(f"the broker answered {response.status_code}: {shown(response.text[:200])}")
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as fault:
            raise BROKER_FAILED(f"the broker's answer is not valid: {fault}") from None
