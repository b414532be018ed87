"""Control leases over HTTP: end, recall and list leases, and read the feed of changes. Accepts only POST with JSON."""

from __future__ import annotations

import logging
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec
from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.lease import Lease
from answerable.core.lease.name import checked_lease_name
from answerable.core.lease.wire import (
    BODY_BYTES_MAX,
    CONTROL_PATH,
    LISTED_MAX,
    NAMES_MAX,
    WAIT_SECONDS_MAX,
    LeaseList,
)
from answerable.errors import AnswerableError, Malformed, shown
from answerable.errors.codes.leases import BROKER_TOO_MANY, TARGET_UNKNOWN_MALFORMED
from answerable.errors.codes.services import HTTP_LEFT
from answerable.flows.leases.revoke_lease import begin, end_within
from answerable.flows.leases.rotate_due import due_now
from answerable.flows.leases.settle_leases import find_strays
from answerable.ports.lease_broker import DueSecret
from answerable.wiring.plain_route import PlainRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from starlette.requests import Request

    from answerable.apps.broker.services import BrokerServices
    from answerable.core.lease.name import LeaseName
    from answerable.flows.leases.lease_desk import BrokerState
    from answerable.ports.target_rights import TargetRights

RECALLED: Final = "the ledger names it and the broker did not know it"

_encoder: Final = msgspec.json.Encoder()
_log: Final = logging.getLogger("answerable.broker")


class End(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End the leases that are in force under these names."""

    names: list[tuple[str, str]]
    why: str
    wait_seconds: float = 0.0


class Recall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End the leases with these names at these targets, if this broker's register does not know them."""

    log: str
    named: list[tuple[str, str]]


class Changes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the feed of changes of this log after the number `after`. All changes up to `after` are acknowledged as
    recorded; without it, reading goes on after the last one that was acknowledged."""

    log: str
    after: int | None = None
    wait_seconds: float = 0.0


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List leases of one kind, at most `limit`, in the order of their names, from the first name after `after`."""

    which: LeaseList
    limit: int = LISTED_MAX
    after: str = ""


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request without members."""


class Rights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List the rights that these grants give at this target."""

    target: str
    grants: dict[str, Any]


class Narrow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reduce these grants to the rights named in `kept`."""

    target: str
    grants: dict[str, Any]
    kept: list[str]


def control_routes(needs: BrokerServices) -> list[PlainRoute]:
    """Return every route under `/v1`."""
    control = _Control(needs)
    return [
        _route("end", End, control.end),
        _route("recall", Recall, control.recall),
        _route("changes", Changes, control.changes),
        _route("leases", Listing, control.leases),
        _route("targets", Nothing, control.targets),
        _route("strays", Nothing, control.strays),
        _route("secrets", Nothing, control.secrets),
        _route("rights", Rights, control.rights),
        _route("narrow", Narrow, control.narrow),
    ]


class _Control:
    def __init__(self, needs: BrokerServices) -> None:
        self._needs = needs
        self._desk: BrokerState = needs.desk

    async def end(self, asked: End) -> dict[str, Any]:
        if len(asked.names) > NAMES_MAX:
            raise BROKER_TOO_MANY(f"at most {NAMES_MAX} names at a time")
        desk = self._desk
        found = end_within(desk, asked.names, why=asked.why[:500] or "it was to end")
        with anyio.move_on_after(min(asked.wait_seconds, WAIT_SECONDS_MAX)):
            for going in [desk.ending[name] for name in found if name in desk.ending]:
                await going.wait()
        ended, unrevoked, more = [], [], 0
        for name in found:
            lease = desk.open.get(name)
            if name in desk.ending:
                more += 1
            elif lease is not None:
                unrevoked.append(lease)
            else:
                known = await to_thread.run_sync(desk.register.get, name)
                ended += [known] if known is not None else []
        return {"ended": ended[:LISTED_MAX], "unrevoked": unrevoked[:LISTED_MAX], "more": more}

    async def recall(self, asked: Recall) -> dict[str, Any]:
        if len(asked.named) > NAMES_MAX:
            raise BROKER_TOO_MANY(f"at most {NAMES_MAX} names at a time")
        desk, now = self._desk, self._desk.clock.now()
        unknown: dict[LeaseName, Lease] = {}
        for text, target in asked.named:
            name = checked_lease_name(text)
            if name not in desk.open and await to_thread.run_sync(desk.register.get, name) is None:
                unknown[name] = _recalled(name, target, asked.log, now)
        # One write for all leases: one write per lease would take longer than the caller waits.
        await desk.writer.put_all(unknown.values())
        # A lease whose warrant has arrived meanwhile is now in `open` and is being issued.
        left = [lease for lease in unknown.values() if lease.name not in desk.open]
        for lease in left:
            desk.open.keep(lease)
        begin(desk, [lease.name for lease in left], why=RECALLED)
        return {"unknown": len(unknown)}

    async def changes(self, asked: Changes) -> dict[str, Any]:
        desk = self._desk
        known = await to_thread.run_sync(desk.register.acknowledged, asked.log)
        last = await to_thread.run_sync(desk.register.last_change)
        after = known if asked.after is None else asked.after
        if after is None or (known is None and after) or after > last:
            # The caller's log is unknown to this register, or its position is past the last change: this is not the
            # register that the caller has been following. Acknowledge nothing.
            return {"last": last if known is not None else 0, "changes": []}
        if asked.after is not None:
            await to_thread.run_sync(desk.register.acknowledge, asked.log, after)
        until = anyio.current_time() + min(asked.wait_seconds, WAIT_SECONDS_MAX)
        while True:
            # Take the event before reading the register: a change after the read sets this event.
            if desk.changed is None:
                desk.changed = anyio.Event()
            changed = desk.changed
            # Read `last` before the changes. In the other order `last` could count a change that is not in `found`, and
            # the caller would skip it.
            last = await to_thread.run_sync(desk.register.last_change)
            found = await to_thread.run_sync(desk.register.changes, asked.log, after)
            if found or last < after or desk.is_stopping or anyio.current_time() >= until:
                return {"last": last, "changes": found}
            with anyio.CancelScope(deadline=until):
                await changed.wait()

    async def leases(self, asked: Listing) -> dict[str, Any]:
        desk, limit = self._desk, max(1, min(asked.limit, LISTED_MAX))
        if asked.which == "ended":
            return {"leases": await to_thread.run_sync(desk.register.ended, limit)}
        if asked.which == "unrevoked":
            # Includes leases that the target could not end early: they are recorded as ended, but their credentials
            # still work.
            left = await to_thread.run_sync(self._left, limit, asked.after)
            found: Collection[Lease] = [*desk.open.unrevoked(), *left]
        else:
            found = desk.open.all()
        after = [lease for lease in found if lease.name > asked.after]
        return {"leases": nsmallest(limit, after, key=lambda lease: lease.name)}

    def _left(self, limit: int, after: str) -> Sequence[Lease]:
        return self._desk.register.left(self._desk.clock.now(), limit, after=after)

    async def targets(self, _: Nothing) -> dict[str, Any]:
        return {
            "targets": [
                {
                    "name": name,
                    "kind": self._needs.kinds[name],
                    "traits": one.issuer.traits,
                    "own": self._needs.own.get(name, ()),
                }
                for name, one in sorted(self._desk.targets.items())
            ]
        }

    async def strays(self, _: Nothing) -> dict[str, Any]:
        strays, faults = await find_strays(self._desk)
        return {"strays": strays, "faults": faults}

    async def secrets(self, _: Nothing) -> dict[str, Any]:
        secrets = self._desk.secrets
        found = sorted((one.name, why) for one, why in due_now(secrets)) if secrets is not None else []
        used_by = secrets.used_by if secrets is not None else {}
        return {
            "due": [
                DueSecret(
                    name=name, why=why, targets=tuple(sorted(one for one in used_by if name in used_by[one]))
                )
                for name, why in found[:LISTED_MAX]
            ]
        }

    async def rights(self, asked: Rights) -> dict[str, Any]:
        found = self._rights_of(asked.target)
        return {"rights": found.rights(asked.grants) if found is not None else ()}

    async def narrow(self, asked: Narrow) -> dict[str, Any]:
        found = self._rights_of(asked.target)
        return {"grants": found.narrowed(asked.grants, frozenset(asked.kept)) if found is not None else None}

    def _rights_of(self, target: str) -> TargetRights | None:
        known = self._desk.targets.get(target)
        if known is None:
            raise TARGET_UNKNOWN_MALFORMED(f"this broker has no target {shown(target)}")
        return known.rights


def _recalled(name: Any, target: str, log: str, now: UnixMillis) -> Lease:
    """Build a lease of which only the name and the target are known."""
    return Lease(
        name=name,
        target=target,
        window="action",
        log=log,
        intent=0,
        mandate="",
        agent="",
        capability="",
        under=(("credential", name), ("credential", target)),
        scope="",
        named_at=now,
        expires_at=now,
    )


def _route(name: str, kind: type[Any], act: Callable[[Any], Awaitable[dict[str, Any]]]) -> PlainRoute:
    decoder = msgspec.json.Decoder(kind)

    async def endpoint(request: Request) -> Response:
        try:
            asked = decoder.decode(await _body(request))
            return _answer(200, await act(asked))
        except msgspec.DecodeError as fault:
            return _answer(400, {"code": "broker.malformed", "message": str(fault)})
        except Malformed as error:
            return _answer(400, {"code": error.code, "message": error.message})
        except AnswerableError as error:
            return _answer(503, {"code": error.code, "message": error.message})
        except Exception:
            _log.exception("a question to the broker failed")
            return _answer(500, {"code": "broker.failed", "message": "the broker failed"})

    return PlainRoute(f"{CONTROL_PATH}{name}", endpoint, method="POST")


async def _body(request: Request) -> bytes:
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > BODY_BYTES_MAX:
                raise BROKER_TOO_MANY(f"a body has at most {BODY_BYTES_MAX} bytes")
    except ClientDisconnect:
        raise HTTP_LEFT() from None
    return bytes(received)


def _answer(status: int, members: dict[str, Any]) -> Response:
    return Response(_encoder.encode(members), status_code=status, media_type="application/json")
