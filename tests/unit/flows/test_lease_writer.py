"""What becomes of changes of leases when their writer is stopped."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.core.lease.lease import Lease
from answerable.errors import Unavailable
from answerable.flows.leases import lease_writer
from answerable.flows.leases.lease_writer import BATCH_MAX, LeaseWriter
from answerable.testing.contracts.lease_register import sample_lease

pytestmark = pytest.mark.anyio


class SlowDisk(SqliteLeaseRegister):
    """Its first write waits until it is let go."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.began, self.let_go = anyio.Event(), threading.Event()

    def put(self, leases: Sequence[Lease]) -> None:
        anyio.from_thread.run_sync(self.began.set)
        assert self.let_go.wait(30)
        super().put(leases)


async def test_what_waits_behind_a_write_is_written_though_the_writer_is_stopped(tmp_path):
    register = SlowDisk(tmp_path / "leases.db")
    writer = LeaseWriter(register)
    leases = [sample_lease(number) for number in range(1, BATCH_MAX + 2)]
    acknowledged = anyio.Event()

    async def put() -> None:
        await writer.put_all(leases)
        acknowledged.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put)
        with anyio.CancelScope() as writing:

            async def stop() -> None:
                await register.began.wait()
                writing.cancel()
                register.let_go.set()

            tasks.start_soon(stop)
            await writer.run()
        with anyio.fail_after(30):
            await acknowledged.wait()
    assert {one.name for one in register.open_leases()} == {one.name for one in leases}
    register.close()


async def test_leases_that_are_stored_together_count_as_many_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_writer, "WAITING_MAX", 3)
    register = SqliteLeaseRegister(tmp_path / "leases.db")
    writer = LeaseWriter(register)
    leases = [sample_lease(number) for number in range(1, 5)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        with anyio.fail_after(30):
            with pytest.raises(Unavailable) as raised:
                await writer.put_all(leases)
            await writer.put_all(leases[:3])
        tasks.cancel_scope.cancel()
    assert raised.value.code == "register.busy"
    assert {one.name for one in register.open_leases()} == {one.name for one in leases[:3]}
    register.close()
