"""What keeping leases costs, whatever target they are at: `./dev bench leases [--json] [--quick]`.

On the real register, with an issuer that does nothing: naming, issuing and ending one lease after another and many at a
time; a cascade of 10,000 from one name; 300,000 live ones in memory and on disk, and the start of a broker on them; and
looking for standing secrets in answers.

Peers: a bare transaction of SQLite on the same disk with the same settings, the least that one durable write can cost.
Kinds of targets have benchmarks of their own (`leases_redis`, `leases_ssh` …); `leases_all` runs those that this
machine has the servers of. The limits are those of issue 7.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio

from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Revoked, Secret
from answerable.core.lease.lease import Lease
from answerable.core.lease.name import LeaseName, account_of, lease_name
from answerable.core.lease.secret_watch import SecretWatch, texts_of
from answerable.core.ledger.warrant_token import LeaseTerms, SignedWarrant
from answerable.flows.leases.lease_credential import lease_credential
from answerable.flows.leases.lease_desk import BrokerState, DeskTarget, LeaseLimits
from answerable.flows.leases.lease_writer import LeaseWriter
from answerable.flows.leases.revoke_lease import end_lease, end_within
from answerable.flows.leases.settle_leases import keep_settling, reopen
from answerable.testing.memory_target import MemoryTarget

ONE_BY_ONE: Final = 1_000
AT_ONCE: Final = 64
CASCADE: Final = 10_000
LIVE: Final = 300_000
WATCHED: Final = ((5, 10_000), (50, 10_000), (5_000, 10_000), (50, 1_000_000))
"""How many secrets, and bytes of an answer."""
RESTART_SECONDS_MAX: Final = 30.0
SCOPE: Final = freeze({"verbs": ["get"]})
SHARED: Final = (("agent", "scout"), ("owner", "ada"), ("server", "db"), ("environment", "production"))

Line = dict[str, Any]


class Nothing(MemoryTarget):
    """An issuer, and a target, that does nothing: what is left is what we do."""

    def faults(self, scope: object) -> tuple[str, ...]:
        return ()

    async def issue(self, order: LeaseOrder) -> Credential:
        return Credential(
            lease=order.name, account=account_of(order.name), expires_at=order.expires_at, secret=Secret()
        )

    async def revoke(self, name: LeaseName) -> Revoked:
        return Revoked()


def main() -> None:
    """Measure and print; exit code 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a hundredth of everything, to see that it runs")
    wanted = parser.parse_args()
    share = 100 if wanted.quick else 1
    with TemporaryDirectory(prefix="answerable-leases-") as place:
        lines = asyncio.run(measured(Path(place), share))
    if wanted.json:
        figures = {f"{line['name']}, {line['unit']}": line["value"] for line in lines}
        print(json.dumps({"bench": "leases", "machine": platform.processor(), "figures": figures}))
    else:
        for line in lines:
            limit = f"   at most {line['limit']:,.1f}" if line["limit"] is not None else ""
            print(f"{line['name']:<74} {line['value']:>12,.3f} {line['unit']}{limit}")
    missed = [line for line in lines if line["limit"] is not None and line["value"] > line["limit"]]
    sys.exit(1 if missed and not wanted.quick else 0)


async def measured(place: Path, share: int) -> list[Line]:
    """Every figure."""
    lines = bare(place, ONE_BY_ONE // share)
    async with broker(fresh(place / "one")) as desk:
        lines += await one_by_one(desk, ONE_BY_ONE // share)
        lines += await many_at_once(desk, 10 * ONE_BY_ONE // share)
    async with broker(fresh(place / "cascade")) as desk:
        lines += await cascade(desk, CASCADE // share)
    lines += await standing(fresh(place / "standing"), LIVE // share)
    return lines + watching(ONE_BY_ONE // share)


def fresh(directory: Path) -> Path:
    """An empty directory."""
    directory.mkdir()
    return directory


def size_of(directory: Path) -> int:
    """Bytes of all files in it."""
    return sum(file.stat().st_size for file in directory.iterdir())


def bare(place: Path, count: int) -> list[Line]:
    """The peer: one small row in a transaction of its own."""
    with sqlite3.connect(place / "bare.db", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bare (body BLOB)")
        took = timed(lambda: connection.execute("INSERT INTO bare VALUES (?)", (bytes(600),)), count)
    return [line("bare transaction of SQLite, p50", statistics.median(took) * 1000, "ms")]


def timed(once: Callable[[], object], count: int) -> list[float]:
    """Seconds of each."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        once()
        took.append(time.perf_counter() - began)
    return took


@asynccontextmanager
async def broker(directory: Path) -> AsyncIterator[BrokerState]:
    """A desk on a real register."""
    register = SqliteLeaseRegister(directory / "leases.db")
    async with running(register) as desk:
        yield desk
    register.close()


@asynccontextmanager
async def running(register: SqliteLeaseRegister) -> AsyncIterator[BrokerState]:
    """A desk that writes, ends and looks at the clock."""
    limits, writer = LeaseLimits(), LeaseWriter(register)
    nothing = Nothing(clock=SystemClock(), entropy=SystemEntropy())
    desk = BrokerState(
        name="broker",
        register=register,
        writer=writer,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        targets={"db": DeskTarget.of(nothing, nothing, limits)},
        limits=limits,
    )
    async with anyio.create_task_group() as tasks:
        desk.tasks = tasks
        tasks.start_soon(writer.run)
        tasks.start_soon(keep_settling, desk)
        yield desk
        tasks.cancel_scope.cancel()


def warrant(number: int) -> SignedWarrant:
    """That of one intent."""
    now = SystemClock().now()
    return SignedWarrant(
        log="ledger.example/one",
        broker="broker",
        intent=number,
        leaf=f"{number:064x}",
        action_id=f"{number:032x}",
        digest="0" * 64,
        deadline=UnixMillis(now + 10_000),
        server="db",
        mandate=f"m-{number % 100}",
        agent="scout",
        capability="read",
        tier=1,
        lease=LeaseTerms(
            name=lease_name(number.to_bytes(16, "big")),
            target="db",
            window="action",
            scope=SCOPE,
            expires_at=UnixMillis(now + 900_000),
        ),
        under=(("mandate", f"m-{number % 100}"), *SHARED),
    )


async def one_by_one(desk: BrokerState, count: int) -> list[Line]:
    """One after another: nothing shares a write."""
    issue, end = [], []
    for number in range(1, count + 1):
        began = time.perf_counter()
        lease, _ = await lease_credential(desk, desk.targets["db"], warrant(number))
        middle = time.perf_counter()
        await end_lease(desk, lease.name, why="over")
        issue.append(middle - began)
        end.append(time.perf_counter() - middle)
    return [
        line("naming and issuing, one by one, p50", statistics.median(issue) * 1000, "ms"),
        line("naming and issuing, one by one, p99", at(issue, 0.99) * 1000, "ms"),
        line("ending, one by one, p50", statistics.median(end) * 1000, "ms"),
        line("ending, one by one, p99", at(end, 0.99) * 1000, "ms"),
    ]


async def many_at_once(desk: BrokerState, count: int) -> list[Line]:
    """64 at a time, which share writes."""
    numbers = iter(range(1_000_001, 1_000_001 + count))

    async def act() -> None:
        for number in numbers:
            lease, _ = await lease_credential(desk, desk.targets["db"], warrant(number))
            await end_lease(desk, lease.name, why="over")

    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(act)
    return [
        line(
            f"leases issued and ended, {AT_ONCE} at a time", count / (time.perf_counter() - began), "a second"
        )
    ]


async def cascade(desk: BrokerState, count: int) -> list[Line]:
    """All under one name, ended by it."""
    for start in range(1, count + 1, 1000):
        async with anyio.create_task_group() as tasks:
            for number in range(start, min(start + 1000, count + 1)):
                tasks.start_soon(lease_credential, desk, desk.targets["db"], warrant(number))
    began = time.perf_counter()
    end_within(desk, [("agent", "scout")], why="held")
    named = time.perf_counter() - began
    while desk.ending:
        await next(iter(desk.ending.values())).wait()
    return [
        line(f"{count:,} leases under one name, found and begun to end", named * 1000, "ms"),
        line(f"{count:,} leases under one name, all ended", time.perf_counter() - began, "s"),
    ]


async def standing(directory: Path, count: int) -> list[Line]:
    """Very many live ones: what they take, and how soon a broker that starts on them answers."""
    path = directory / "leases.db"
    register = SqliteLeaseRegister(path)
    for start in range(1, count + 1, 2000):
        register.put([issued(number) for number in range(start, min(start + 2000, count + 1))])
    size = size_of(directory)
    register.close()
    register = SqliteLeaseRegister(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    async with running(register) as desk:
        left = reopen(desk)
        answering = time.perf_counter() - began
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / left
        while desk.ending:
            await next(iter(desk.ending.values())).wait()
        ended = time.perf_counter() - began
    register.close()
    return [
        line(f"start on {count:,} live leases, until it answers", answering, "s", RESTART_SECONDS_MAX),
        line(f"start on {count:,} live leases, until all are ended", ended, "s"),
        line("memory of one live lease that is being ended", memory, "bytes"),
        line("disk of one live lease", size / count, "bytes"),
    ]


def issued(number: int) -> Lease:
    """A live lease, as a broker that was killed left it."""
    one = warrant(number)
    return Lease(
        name=one.lease.name,
        target="db",
        window="action",
        log=one.log,
        intent=one.intent,
        mandate=one.mandate,
        agent=one.agent,
        capability=one.capability,
        under=(("credential", one.lease.name), ("credential", "db"), *one.under),
        scope=SCOPE.hex,
        named_at=SystemClock().now(),
        expires_at=one.lease.expires_at,
        state="issued",
        account=account_of(one.lease.name),
        issued_at=SystemClock().now(),
    )


def watching(count: int) -> list[Line]:
    """What it adds to an action that standing secrets are looked for in its answer, by how many there are and how long
    the answer is."""
    lines = []
    for secrets, bytes_of_answer in WATCHED:
        watch = SecretWatch([(f"s{number}", SystemEntropy().bytes(32).hex()) for number in range(secrets)])
        row = SystemEntropy().bytes(100).hex()
        answer = {"content": [{"type": "text", "text": row} for _ in range(bytes_of_answer // len(row))]}
        took = timed(partial(looked_for, watch, answer), max(3, count // 10))
        name = f"looking for {secrets:,} secrets in an answer of {bytes_of_answer:,} bytes, p50"
        lines.append(line(name, statistics.median(took) * 1000, "ms"))
    return lines


def looked_for(watch: SecretWatch, answer: object) -> None:
    """As the broker does it once for each answer."""
    watch.found_in(texts_of(answer))


def at(values: list[float], share: float) -> float:
    """That share of them is no more."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def line(name: str, value: float, unit: str, limit: float | None = None) -> Line:
    """One figure."""
    return {"name": name, "value": value, "unit": unit, "limit": limit}


if __name__ == "__main__":
    main()
