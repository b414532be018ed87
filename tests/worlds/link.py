"""Two walks in one process as two shards of one deployment, with real sockets between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from answerable.adapters.shard_socket import LinkLimits, SocketShardDoor, SocketShardLink
from answerable.core.identity.keys.keys import ed25519_public
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.shards import shard_origin
from answerable.core.tlog.note import VerifierKey
from answerable.flows.drills.report_containment import told_part
from answerable.flows.revocation.trace_effects import effects_under
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.walk.forward_action import forward_action
from answerable.flows.walk.govern_action import govern_action
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.samples import mandate_terms, signing_key
from tests.worlds.parts import to_govern, to_issue

BASE = "answerable.test"
A = f"{BASE}/a"
SHARDS = ("a", "b")
LIMITS = LinkLimits(
    connect_seconds_max=5,
    send_seconds_max=5,
    answer_seconds_max=20,
    message_bytes_max=100_000,
    stop_seconds_max=5,
)


def shard(name: str, beside: Bench | None = None, **parts: object) -> Bench:
    """The walk of one shard, on the same registers as another's."""
    origin = shard_origin(BASE, name)
    key = signing_key(origin)
    clock = beside.clock if beside is not None else ManualClock()
    ledger = MemoryLedger(
        key=VerifierKey.ed25519(origin, ed25519_public(key.public)), sign=key.sign, clock=clock
    )
    if beside is None:
        return Bench(clock=clock, ledger=ledger, **parts)
    walk = beside.walk
    return Bench(
        clock=clock,
        ledger=ledger,
        registry=walk.authority.registry,
        mandates=walk.authority.mandates,
        approvals=walk.authority.approvals,
        subject_keys=walk.recorder.subject_keys,
    )


def link_of(directory: Path, name: str, limits: LinkLimits = LIMITS) -> SocketShardLink:
    """The way from this shard to the others."""
    return SocketShardLink(directory, base=BASE, own=name, shards=lambda: SHARDS, limits=limits)


@asynccontextmanager
async def door(
    directory: Path,
    name: str,
    bench: Bench,
    *,
    limits: LinkLimits = LIMITS,
    govern: object = None,
    trace: object = None,
    contain: object = None,
) -> AsyncIterator[None]:
    """The process of this shard takes what others hand on, until the block is left."""
    stop, up = anyio.Event(), anyio.Event()
    served = SocketShardDoor(
        directory,
        shard=name,
        origin=shard_origin(BASE, name),
        govern=govern or partial(govern_action, *to_govern(bench.walk)),
        trace=trace or partial(effects_under, bench.recorder, bench.authority),
        contain=contain
        or partial(told_part, bench.recorder, bench.authority, bench.live.scans, bench.walk.limits),
        limits=limits,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(served.serve, stop=stop, started=up.set))
        await up.wait()
        try:
            yield
        finally:
            stop.set()


async def sent(bench: Bench, target: str = "get_case", arguments: object = None, **claims: str):
    """An action that reaches this process, wherever it belongs."""
    wanted = {"case": "4711"} if arguments is None else arguments
    action, caller = bench.request(target, wanted, **claims)
    return await forward_action(*to_govern(bench.walk), action, caller)


async def two_shards(directory: Path, *, calls_max: int = 20) -> tuple[Bench, Bench]:
    """a, which owns the mandate `m-1`, and b, which knows it and the way to a."""
    a = await shard("a").registered()
    now = a.clock.now()
    terms = replace(
        mandate_terms(), calls_max=calls_max, not_before=now, expires_at=UnixMillis(now + 3_600_000)
    )
    terms = replace(terms, grants=(*terms.grants, replace(terms.grants[0], capability="crm.refund")))
    await issue_mandate(*to_issue(a.walk), signed_mandate(terms, audience=A, key=signing_key("alice")))
    b = shard("b", a)
    b.walk.live.link = link_of(directory, "b")
    return a, b
