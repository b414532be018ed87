"""Histories over restarts and publications: kept, read back, and never decided on before they are known."""

from __future__ import annotations

import asyncio

import pytest

from answerable.adapters.sqlite import SqliteHistoryRegister, SqliteRegistryStore
from answerable.core.decision.history import HistoryState
from answerable.core.decision.tally import Tally, decoded, encoded
from answerable.core.registry.parsing.active import stored_form
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.counters.keep_history import keep_history, read_unread_history
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.registry.follow_registers import follow_registers
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.fault_injection import Trouble, TroubledLedger, TroubledRegistry
from answerable.testing.registers import elsewhere, fresh
from tests.worlds.history import (
    ONE_REFUND,
    PERMIT,
    REFUNDS,
    documents_with,
    kept,
    ready,
    restarted,
    seen,
    told_by_the_ledger,
)
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.anyio

READS = {"name": "reads", "over": "agent", "within": "10m", "kinds": ["read"]}
OF_MANDATE = {"name": "all", "over": "mandate"}


class CountingLedger:
    """The ledger, noting from where it was read again, and how much."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.replayed_from, self.read = [], 0

    def replay(self, start=0):
        self.replayed_from.append(start)
        for stored in self._ledger.replay(start):
            self.read += 1
            yield stored

    def __getattr__(self, name):
        return getattr(self._ledger, name)


@pytest.mark.requirement("HIST-06")
async def test_a_start_reads_only_what_comes_after_what_was_kept():
    bench = await ready(REFUNDS, OF_MANDATE)
    for _ in range(5):
        await bench.refund(1)
    await kept(bench)
    size = bench.recorder.ledger.size
    await bench.refund(1)
    again = restarted(bench, ledger=CountingLedger(bench.recorder.ledger))
    assert seen(again) == {"refunds": 6, "all": 6}
    assert set(again.walk.recorder.ledger.replayed_from) == {size}
    # With nothing new there is nothing to keep.
    await kept(again)
    assert again.walk.counters.history.due(again.walk.recorder.ledger.size) is None


@pytest.mark.requirement("HIST-06")
async def test_what_is_kept_is_never_ahead_of_what_the_log_has_on_stable_storage():
    bench = await ready(REFUNDS)
    history = bench.counters.history
    await bench.refund(1)
    state = history.due(bench.recorder.ledger.size)
    assert state.entries == bench.recorder.ledger.size
    history.kept(state)
    await bench.refund(1)
    history.entries = state.entries + 50
    assert history.due(state.entries + 49) is None
    assert history.due(state.entries + 50).entries == state.entries + 50


def write(register, statement, *values):
    """As whoever edits the file."""
    with register._store.write() as connection:
        connection.execute(statement, values)


@pytest.mark.requirement("HIST-06")
@pytest.mark.parametrize("how", ["cut", "torn", "of another tracker", "of another log", "ahead of the log"])
async def test_what_was_kept_and_cannot_be_is_read_from_the_log_instead(how):
    bench = await ready(REFUNDS, {**READS, "sameResource": True})
    await bench.refund(1)
    await bench.act()
    await kept(bench)
    register, origin = bench.counters.history_register, bench.recorder.ledger.origin
    found = register.kept(origin)
    first, second = sorted(found.places)

    def put(place, state):
        query = "UPDATE history SET state = ? WHERE tracker = ? AND owner = ? AND resource = ?"
        write(register, query, state, *place)

    if how == "cut":
        put(first, found.places[first][:-2])
    elif how == "torn":
        put(first, b'["t",[5],[1],7]')
    elif how == "of another tracker":
        put(first, b'["s",[1],3]')
        put(second, b'["s",[1],3]')
    elif how == "of another log":
        write(register, "UPDATE history SET origin = 'other'")
        write(register, "UPDATE history_kept SET origin = 'other'")
    else:
        write(register, "UPDATE history_kept SET entries = ?", bench.recorder.ledger.size + 1)
        newest = decoded(found.places[first]).newest
        put(first, encoded(Tally((newest,), (7,), 7)))
        put(second, encoded(Tally((newest,), (7,), 7)))
    again = restarted(bench)
    assert seen(again) == {"refunds": 1, "reads": 1}
    await kept(again)
    assert seen(restarted(again)) == {"refunds": 1, "reads": 1}


@pytest.mark.requirement("HIST-04")
async def test_a_tracker_that_is_published_knows_what_happened_before():
    bench = await ready()
    await bench.refund(1)
    await bench.act()
    bench.clock.advance(1_300)
    await bench.act()
    await apply_registry(
        *to_apply(bench.walk), documents_with(REFUNDS, READS, policies=ONE_REFUND), by="operator"
    )
    assert seen(bench) == {"refunds": 1, "reads": 1}
    with pytest.raises(Refused) as told:
        await bench.refund(1)
    assert told.value.code == "one"
    # Another definition under the same name is another tracker.
    await apply_registry(*to_apply(bench.walk), documents_with({**REFUNDS, "within": "20m"}), by="operator")
    assert seen(bench) == {"refunds": 0}


@pytest.mark.requirement("HIST-04")
async def test_what_happens_while_a_publication_reads_is_neither_lost_nor_counted_twice():
    bench = await ready()
    for _ in range(300):
        await bench.refund(1)
    done = 0

    async def act_on():
        nonlocal done
        for _ in range(40):
            await bench.refund(1)
            done += 1

    applying = apply_registry(*to_apply(bench.walk), documents_with(REFUNDS, OF_MANDATE), by="operator")
    await asyncio.gather(*(act_on() for _ in range(5)), applying)
    assert seen(bench) == {"refunds": 300 + done, "all": 300 + done}
    assert done == 200


@pytest.mark.requirement("HIST-04")
async def test_a_publication_reads_no_further_back_than_its_trackers_look():
    bench = await ready()
    for _ in range(300):
        await bench.act()
    bench.clock.advance(20 * 86_400)
    await bench.issue("m-2")
    await bench.refund(1, mandate="m-2")
    counting = bench.recorder.ledger = CountingLedger(bench.recorder.ledger)
    await apply_registry(*to_apply(bench.walk), documents_with(REFUNDS, OF_MANDATE), by="operator")
    assert seen(bench, mandate="m-2") == {"refunds": 1, "all": 1}
    assert counting.read < 20


@pytest.mark.requirement("HIST-04")
async def test_a_publication_that_fails_leaves_what_was_in_force_as_it_was():
    bench = await ready(REFUNDS)
    await bench.refund(1)
    raw, registry = bench.recorder.ledger, bench.authority.registry
    bench.authority.registry = TroubledRegistry(
        registry, Trouble(lambda _number, method: "undone" if method == "registry.put" else None)
    )
    with pytest.raises(Unavailable):
        await apply_registry(*to_apply(bench.walk), documents_with(READS), by="operator")
    bench.authority.registry = registry
    assert seen(bench) == {"refunds": 1}
    with pytest.raises(Malformed):
        await apply_registry(*to_apply(bench.walk), documents_with(READS, policies="permit ("), by="operator")
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await apply_registry(*to_apply(bench.walk), documents_with(READS), by="operator")
    bench.recorder.ledger = raw
    await bench.refund(1)
    assert seen(bench) == {"refunds": 2}
    assert not bench.counters.history._reading


@pytest.mark.requirement("HIST-04")
async def test_what_another_process_put_into_force_refuses_until_it_is_read():
    bench = await ready(REFUNDS)
    await bench.act()

    def refresh():
        documents = documents_with(READS, REFUNDS)
        SqliteRegistryStore(elsewhere(bench.store)).put(dict(stored_form(documents)))
        return bench.store.refresh()

    follow_registers(
        bench.authority.registry, bench.counters.history, bench.walk.policies, bench.walk.limits, refresh
    )
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "facts.unknown"
    assert "is being read" in told.value.reasons[0]
    assert await read_unread_history(
        bench.recorder, bench.authority, bench.counters.history, bench.walk.limits
    )
    assert not await read_unread_history(
        bench.recorder, bench.authority, bench.counters.history, bench.walk.limits
    )
    assert seen(bench) == {"reads": 1, "refunds": 0}
    await bench.act()
    assert seen(bench) == {"reads": 2, "refunds": 0}


@pytest.mark.requirement("HIST-04")
async def test_an_entry_counts_as_what_it_was_whatever_the_registry_says_of_its_capability_now():
    bench = await ready()
    await bench.refund(1)
    documents = documents_with(
        {"name": "paid", "over": "agent", "within": "1h", "kinds": ["pay"], "sameResource": True}
    )
    for one in documents:
        if one["metadata"]["name"] == "crm.refund":
            one["spec"] |= {"kind": "write", "resource": {"type": "Customer", "argument": "case"}}
    await apply_registry(*to_apply(bench.walk), documents, by="operator")
    assert seen(bench, "paid") == 1
    assert seen(bench, "paid", case="4712") == 0


@pytest.mark.requirement("HIST-06")
async def test_a_tracker_that_was_away_for_a_while_counts_what_happened_meanwhile():
    bench = await ready(REFUNDS)
    await bench.refund(1)
    await kept(bench)
    await apply_registry(*to_apply(bench.walk), documents_with(READS), by="operator")
    await bench.refund(1)
    await apply_registry(*to_apply(bench.walk), documents_with(REFUNDS), by="operator")
    await bench.refund(1)
    assert seen(bench) == {"refunds": 3}
    await kept(bench)
    assert seen(restarted(bench)) == {"refunds": 3}


@pytest.mark.requirement("HIST-06")
async def test_a_register_that_takes_nothing_is_given_it_again():
    class Full(SqliteHistoryRegister):
        full = True

        def keep(self, origin: str, state: HistoryState) -> None:
            if self.full:
                raise Unavailable("full", code="register.unavailable", port="register")
            super().keep(origin, state)

    register = fresh(Full)
    bench = await ready(REFUNDS, history=register)
    await bench.refund(1)
    with pytest.raises(Unavailable):
        await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)
    await bench.refund(1)
    register.full = False
    await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)
    await bench.refund(1)
    await kept(bench)
    again = restarted(bench, ledger=CountingLedger(bench.recorder.ledger))
    assert seen(again) == {"refunds": 3}
    assert 0 not in again.walk.recorder.ledger.replayed_from


@pytest.mark.requirement("HIST-06")
async def test_without_a_register_a_start_reads_the_log():
    bench = await ready(REFUNDS, history=None)
    await bench.refund(1)
    await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)
    assert seen(restarted(bench)) == {"refunds": 1}


@pytest.mark.requirement("HIST-09")
async def test_of_mandates_that_have_ended_nothing_is_kept():
    bench = await ready(OF_MANDATE)
    await bench.issue("m-2")
    await bench.issue("m-3", seconds=60)
    for mandate in ("m-1", "m-2", "m-3"):
        await bench.act(mandate=mandate)
    await kept(bench)
    register, origin = bench.counters.history_register, bench.recorder.ledger.origin
    assert {owner for _, owner, _ in register.kept(origin).places} == {"m-1", "m-2", "m-3"}
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-2", by="alice")
    bench.clock.advance(120)
    await kept(bench)
    assert {owner for _, owner, _ in register.kept(origin).places} == {"m-1", "m-3"}
    bench.clock.advance(2 * 86_400)
    await kept(bench)
    assert not register.kept(origin).places
    assert seen(bench, mandate="m-2") == {"all": 0}


@pytest.mark.requirement("HIST-06")
async def test_after_many_actions_memory_register_and_ledger_say_the_same():
    trackers = (
        REFUNDS,
        {**REFUNDS, "name": "paid", "sum": "amount", "sameResource": True},
        {**READS, "event": "succeeded"},
        {
            "name": "pairs",
            "over": "mandate",
            "steps": [{"kinds": ["read"]}, {"kinds": ["pay"]}],
            "sameResource": True,
        },
    )
    bench = await ready(*trackers, policies=PERMIT)
    await bench.issue("m-2")
    for number in range(60):
        mandate, case = f"m-{1 + number % 3 // 2}", str(4710 + number % 4)
        target = "refund" if number % 5 == 0 else "get_case"
        arguments = {"case": case, "amount": number} if target == "refund" else {"case": case}
        try:
            await bench.act(target, arguments, mandate=mandate)
        except Refused:
            continue
        bench.clock.advance(41)
        if number == 30:
            await kept(bench)
    read = told_by_the_ledger(bench)
    kept_on, anew = restarted(bench), restarted(bench, keep_register=False)
    for mandate in ("m-1", "m-2"):
        for case in ("4710", "4711", "4712", "4713"):
            here = seen(bench, mandate=mandate, case=case)
            bench.counters.history, live = read, bench.counters.history
            assert seen(bench, mandate=mandate, case=case) == here
            bench.counters.history = live
            assert seen(kept_on, mandate=mandate, case=case) == here
            assert seen(anew, mandate=mandate, case=case) == here
