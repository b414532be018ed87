"""Between preparing, asking, answering and executing: restarts from disk, and trouble at every call of the register."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteMandateRegister,
    SqlitePreparedRegister,
    SqliteRegistryStore,
    SqliteStore,
)
from answerable.core.action.prepared import Prepared
from answerable.core.canonical import encode
from answerable.core.containment.hold import HoldTarget
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.recall_prepared import RecalledPrepared
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import FAULTS, Crash, Trouble, TroubledLedger
from answerable.testing.registers import fresh
from tests.worlds.hold import stop
from tests.worlds.prepared import (
    BATCH,
    GRANTS,
    LARGE,
    digest,
    documents,
    execute,
    executed,
    prepare,
    prepared,
    prepared_bench,
    refused,
    structured,
)
from tests.worlds.walk import striking

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PREPARE-03")]


class Restarting:
    """One walk after the other on the same files; the log, the clock and the server go on."""

    def __init__(self, home: Path, bench: Bench) -> None:
        self.home, self.first = home, bench
        self.store: SqliteStore | None = None

    def again(self) -> Bench:
        if self.store is not None:
            self.store.close()
        self.store = store = SqliteStore.open(self.home / "registers.db")
        before = self.first
        bench = Bench(
            clock=before.clock,
            ledger=before.walk.recorder.ledger,
            subject_keys=before.walk.recorder.subject_keys,
            upstream=before.walk.verification.upstream,
            registry=SqliteRegistryStore(store),
            mandates=SqliteMandateRegister(store),
            approvals=SqliteApprovalRegister(store),
            prepared=SqlitePreparedRegister(store),
        )
        bench.upstream = before.upstream
        return bench


async def test_after_restarts_between_all_steps_it_runs_from_disk_once(tmp_path):
    memory, upstream = await prepared_bench(structured(LARGE))
    world = Restarting(tmp_path, memory)
    bench = await world.again().registered(documents())
    await bench.issue("m-9", grants=GRANTS)
    named = await prepared(bench, mandate="m-9")
    bench = world.again()
    asked = (await execute(bench, named, mandate="m-9")).approval
    bench = world.again()
    waiting = bench.authority.approvals.find(asked.id)
    assert waiting is not None
    await bench.answer(waiting)
    bench = world.again()
    assert (await execute(bench, named, mandate="m-9")).outcome.status == "succeeded"
    bench = world.again()
    await refused(bench, named, "prepared.used", mandate="m-9")
    assert [one["batch"] for one in executed(upstream)] == [encode(LARGE).decode()]


class TroubledPrepared:
    """Port PreparedRegister in front of another one."""

    def __init__(self, inner: SqlitePreparedRegister, trouble: Trouble) -> None:
        self.inner, self.trouble = inner, trouble

    def add(self, prepared: Prepared, *, waiting_max: int) -> bool:
        return self.trouble.call("prepared.add", lambda: self.inner.add(prepared, waiting_max=waiting_max))

    def get(self, identity: str) -> Prepared | None:
        return self.trouble.call("prepared.get", lambda: self.inner.get(identity))

    def named(self, agent: AgentId, digest: str) -> Sequence[Prepared]:
        return self.trouble.call("prepared.named", lambda: self.inner.named(agent, digest))

    def waiting(self, agent: AgentId, now: UnixMillis) -> int:
        return self.trouble.call("prepared.waiting", lambda: self.inner.waiting(agent, now))

    def deciding(self) -> AbstractContextManager[object]:
        return self.inner.deciding()

    def give_back(self, identity: str, *, by: str) -> None:
        self.trouble.call("prepared.give_back", lambda: self.inner.give_back(identity, by=by))

    def keep_use(self, identity: str) -> None:
        self.inner.keep_use(identity)

    def use(self, identity: str, *, by: str, now: UnixMillis) -> bool:
        return self.trouble.call("prepared.use", lambda: self.inner.use(identity, by=by, now=now))


async def tried(bench: Bench, what: Any) -> str:
    """How it ended: a status, a code, `crash`, or `waits`."""
    try:
        answer = await what
    except (Refused, Unavailable) as no:
        return no.code
    except Crash:
        return "crash"
    return answer.outcome.status if answer.outcome is not None else "waits"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["add", "named", "waiting", "use"])
async def test_whatever_befalls_the_register_it_runs_at_most_once_and_can_be_done_again(method, fault):
    bench, upstream = await prepared_bench()
    register = fresh(SqlitePreparedRegister)
    trouble = striking(f"prepared.{method}", fault)
    bench.walk.verification.prepared = TroubledPrepared(register, trouble)
    ends = [await tried(bench, bench.act("prepare_batch", {}))]
    ends.append(await tried(bench, execute(bench, digest(BATCH))))
    assert trouble.struck, ends
    assert len(executed(upstream)) <= 1
    # Another process goes on with the same registers.
    bench.walk.verification.prepared = register
    left = register.named(AgentId("scout"), digest(BATCH).removeprefix("sha256:"))
    if any(one.used_by for one in left) and not executed(upstream):
        await refused(bench, digest(BATCH), "prepared.used")
    done = len(executed(upstream))
    await prepared(bench)
    assert (await execute(bench, digest(BATCH))).outcome.status == "succeeded"
    assert len(executed(upstream)) == done + 1
    assert not upstream.violations


async def test_when_it_cannot_be_kept_the_agent_is_told_so_and_nothing_waits():
    bench, _ = await prepared_bench()
    register = fresh(SqlitePreparedRegister)
    bench.walk.verification.prepared = TroubledPrepared(register, striking("prepared.add", "undone"))
    said = await prepare(bench)
    assert (said["kept"], said["code"]) == (False, "register.unavailable")
    assert register.waiting(AgentId("scout"), bench.clock.now()) == 0


async def test_without_room_in_the_ledger_nothing_runs_and_what_was_prepared_still_waits():
    bench, upstream = await prepared_bench()
    await execute(bench, await prepared(bench))
    upstream.results = [structured({**BATCH, "batch_id": "PB-2"})]
    named = await prepared(bench)
    whole = bench.recorder.ledger
    try:
        bench.recorder.ledger = TroubledLedger(whole, striking("ledger.submit", "full"))
        with pytest.raises(Unavailable):
            await execute(bench, named)
    finally:
        bench.recorder.ledger = whole
    assert len(executed(upstream)) == 1
    assert (await execute(bench, named)).outcome.status == "succeeded"
    await refused(bench, named, "prepared.used")


async def test_held_between_preparing_and_executing_it_does_not_run():
    bench, upstream = await prepared_bench()
    named = await prepared(bench)
    await stop(bench, HoldTarget("mandate", "m-1"))
    with pytest.raises(Refused):
        await execute(bench, named)
    assert not executed(upstream)
    assert bench.entries(Tag.INTENT)[-1]["capability"] == "crm.prepare"


def older_copy(registers: Path, copy: Path) -> SqliteStore:
    """The registers as they are now, for later."""
    with closing(sqlite3.connect(registers)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return SqliteStore.open(copy)


@pytest.mark.requirement("PROJECT-28")
async def test_what_ran_does_not_run_again_on_an_older_copy_of_the_registers(tmp_path: Path):
    registers = tmp_path / "registers.db"
    with closing(SqliteStore.open(registers)) as store:
        bench, upstream = await prepared_bench(prepared=SqlitePreparedRegister(store))
        named = await prepared(bench)
        older = older_copy(registers, tmp_path / "older.db")
        await execute(bench, named)
    with closing(older):
        bench.walk.verification.prepared = SqlitePreparedRegister(older)
        recalled = RecalledPrepared(
            ledger=bench.recorder.ledger, prepared=bench.walk.verification.prepared, clock=bench.clock
        )
        for stored in bench.recorder.ledger.replay():
            if stored.tag == Tag.INTENT:
                recalled.note(stored)
        await recalled.restored()
        await refused(bench, named, "prepared.used")
        assert len(executed(upstream)) == 1
        # What was not executed waits as before.
        upstream.results = [structured({**BATCH, "batch_id": "PB-2"})]
        assert (await execute(bench, await prepared(bench))).outcome.status == "succeeded"
