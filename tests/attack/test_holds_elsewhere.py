"""A lost register, and a hold in the log of a process that has not started: whoever starts first holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from answerable.core.containment.hold import holdable
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Broken, Unavailable
from answerable.flows.recovery.restore_ended_authority import restore_ended_authority
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.workloads.change_authorities import AuthorityChanges
from answerable.testing.builders import memory_ledger
from answerable.testing.registers import fresh_ends
from answerable.wiring.assemble import assembled
from answerable.wiring.settings import load_settings
from answerable.wiring.shard_settings import with_shard
from tests.worlds.enrolment import enrolling
from tests.worlds.hold import lift, stop
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOLD-11")]
SCOUT = holdable("agent", "scout")


class Beside:
    """The log of another process. fails: so many readings end with this."""

    name = "b"

    def __init__(self, ledger: Any, *, fails: int = 0) -> None:
        self._ledger, self._fails = ledger, fails

    def origin(self) -> str:
        return "example.org/b"

    def entries(self, start: int) -> Any:
        if self._fails:
            self._fails -= 1
            raise Broken("ledger is damaged", code="ledger.corrupt")
        return self._ledger.replay(start)


async def started_first(bench: Any, workloads: Any, **how: Any) -> Any:
    """Another process, whose register was lost and in whose own log nothing stands."""
    log = Beside(bench.recorder.ledger, **how)
    bench.recorder.ledger = memory_ledger(bench.clock)
    revocations, bench.authority.holds = fresh_ends()
    bench.authority.revocations = revocations
    authorities = AuthorityChanges(bench.walk.recorder, workloads.trust)
    return await restore_ended_authority(workloads, authorities, since=0, others=[log])


def lose_registers(data: Path) -> None:
    for one in data.glob("answerable.db*"):
        one.unlink()


async def test_what_is_held_and_revoked_in_the_log_of_another_is_so_for_whoever_starts_first():
    bench, workloads = await enrolling()
    hold = (await stop(bench, SCOUT, by="alice")).hold
    gone = (await stop(bench, holdable("agent", "rover"), by="alice")).hold
    lifted = await lift(bench, gone, "bob")
    await revoke_authority(
        bench.recorder,
        bench.authority,
        bench.live,
        RevocationTarget("mandate", "m-7"),
        by="alice",
        reason="over",
    )
    found = await started_first(bench, workloads)
    assert (found.holds, found.revocations) == (1, 1)
    # As it was, whole, and what was lifted is not held.
    assert bench.authority.holds.get(hold.id) == hold
    assert bench.authority.holds.get(lifted.id) == lifted
    assert bench.authority.holds.find((SCOUT, gone.what), bench.clock.now()) == hold
    assert bench.authority.revocations.find((RevocationTarget("mandate", "m-7"),)) is not None


async def test_a_lift_that_another_process_has_on_record_is_for_that_one_to_put_into_force():
    bench, workloads = await enrolling()
    hold = (await stop(bench, SCOUT, by="alice")).hold
    await lift(bench, hold, "bob")
    log = Beside(bench.recorder.ledger)
    bench.recorder.ledger = memory_ledger(bench.clock)
    revocations, register = fresh_ends()
    bench.authority.revocations = revocations
    bench.authority.holds = register
    register.place(hold)
    await restore_ended_authority(
        workloads, AuthorityChanges(bench.walk.recorder, workloads.trust), since=0, others=[log]
    )
    assert register.find((SCOUT,), bench.clock.now()) == hold


async def test_a_log_that_is_being_written_is_read_again():
    bench, workloads = await enrolling()
    await stop(bench, SCOUT, by="alice")
    assert (await started_first(bench, workloads, fails=2)).holds == 1


async def test_a_log_that_cannot_be_read_is_not_taken_for_empty_unless_the_registers_have_counted_it(
    caplog: Any,
):
    bench, workloads = await enrolling()
    await stop(bench, SCOUT, by="alice")
    with pytest.raises(Unavailable) as raised:
        await started_first(bench, workloads, fails=100)
    assert raised.value.code == "ledger.shard_unreadable"
    bench.authority.mandates.keep_used("example.org/b", {}, 1)
    assert (await started_first(bench, workloads, fails=100)).holds == 0
    assert "the log of shard b cannot be read" in caplog.text


@pytest.mark.parametrize("published", [True, False], ids=["closed in order", "killed"])
async def test_with_registers_lost_the_first_shard_that_starts_holds_what_another_one_held(
    tmp_path: Path, published: bool, monkeypatch: Any
) -> None:
    (tmp_path / "answerable.toml").write_text("[witnesses]\nlocal = false\n")
    settings = load_settings(tmp_path)
    async with assembled(with_shard(settings, "b")) as product:
        placed = await place_hold(*to_hold(product.walk), SCOUT, by="uid:1000", reason="it deletes mail")
        if not published:
            # What was written since stands in no checkpoint, as after a kill.
            monkeypatch.setattr(product.ledger, "_seal_if_there_is_room", lambda: None)
    lose_registers(tmp_path)
    async with assembled(with_shard(settings, "a")) as product:
        assert product.walk.authority.holds.find((SCOUT,), product.walk.clock.now()) == placed.hold
    # And the other one, when it comes, finds it as it was.
    async with assembled(with_shard(settings, "b")) as product:
        assert list(product.walk.authority.holds.all()) == [placed.hold]


async def test_both_may_run(tmp_path: Path) -> None:
    (tmp_path / "answerable.toml").write_text("[witnesses]\nlocal = false\n")
    settings = load_settings(tmp_path)
    async with assembled(with_shard(settings, "b")) as theirs:
        placed = await place_hold(*to_hold(theirs.walk), SCOUT, by="uid:1000")
        async with assembled(with_shard(settings, "a")) as ours:
            assert list(ours.walk.authority.holds.all()) == [placed.hold]
