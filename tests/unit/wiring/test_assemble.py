"""What runs beside the doors goes on while the log is full, and ends when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio import create_task_group, move_on_after

from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.wiring.assemble import assembled
from answerable.wiring.settings import load_settings
from answerable.wiring.settling import settling
from tests.worlds.gateway import until
from tests.worlds.parts import to_apply, to_govern

if TYPE_CHECKING:
    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-10")]


class FullRegister:
    """A register of mandates that finds no room for used budgets, so many times."""

    def __init__(self, register, *, times):
        self._register, self._left = register, times

    def keep_used(self, *used):
        if self._left:
            self._left -= 1
            raise Unavailable("the disk is full", code="register.unavailable", port="register")
        self._register.keep_used(*used)

    def __getattr__(self, name):
        return getattr(self._register, name)


async def beside_a_log_that_is(fault: Fault) -> Bench:
    bench = await Bench().registered()
    bench.counters.quota.take(AgentId("scout"), bench.clock.now())
    bench.counters.quota.lost(AgentId("scout"))
    raw, left = bench.recorder.ledger, iter([fault, fault])
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: next(left, None) if "submit" in method else None)
    )
    with move_on_after(1):
        await settling(*to_govern(bench.walk), None, 0.005)
    return bench


async def test_a_full_log_delays_what_is_to_be_written_and_ends_nothing():
    bench = await beside_a_log_that_is("full")
    assert [entry["agents"] for entry in bench.entries(Tag.REFUSALS_COUNTED)] == [{"scout": 1}]


async def test_a_log_that_failed_ends_what_runs_beside_it():
    with pytest.raises(Unavailable) as told:
        await beside_a_log_that_is("undone")
    assert told.value.code == "ledger.poisoned"


async def test_a_register_that_takes_nothing_ends_nothing_and_the_count_is_kept_later():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await bench.act()
    mandates, origin = bench.authority.mandates, bench.recorder.ledger.origin
    bench.authority.mandates = FullRegister(mandates, times=2)
    async with create_task_group() as tasks:
        tasks.start_soon(settling, *to_govern(bench.walk), None, 0.005)
        await until(lambda: mandates.kept_used(origin), seconds=20)
        tasks.cancel_scope.cancel()
    assert mandates.kept_used(origin) == {"m-1": {"calls": 1}}


async def test_a_lost_root_key_of_subjects_is_named_and_none_is_made_in_its_place(tmp_path):
    settings = load_settings(tmp_path)
    async with assembled(settings):
        pass
    (tmp_path / "keys" / "subjects.key").unlink()
    with pytest.raises(Unavailable, match=r"`subjects\.key` is missing") as told:
        async with assembled(settings):
            pass
    assert told.value.code == "subject_keys.corrupt"
    assert not (tmp_path / "keys" / "subjects.key").exists()


async def test_a_lost_store_of_subject_keys_is_noticed_at_the_start(tmp_path):
    settings = load_settings(tmp_path)
    async with assembled(settings) as product:
        await apply_registry(*to_apply(product.walk), bench_documents(), by="operator")
    for path in tmp_path.glob("subject-keys.db*"):
        path.unlink()
    with pytest.raises(Unavailable) as told:
        async with assembled(settings):
            pass
    assert told.value.code == "subject_keys.lost"
