"""Strangers without end at the doors: they fill neither disk nor memory, and nobody is lost among them."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from answerable.core.identity.proof import door_refusals as bounds
from answerable.core.identity.proof.door_refusal import Sender
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable, Unverified
from answerable.flows.counters.door_desk import DoorDesk, record_door_refusals
from answerable.flows.policy.simulate_rule import simulate_rule
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.known_callers import KnownCallers
from answerable.testing.builders import Bench, bench_documents, ledger_key
from answerable.testing.disks import FileDisk
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.parts import to_apply, to_refuse
from tests.worlds.rule import rule
from tests.worlds.stories import lines_of

pytestmark = pytest.mark.anyio
HERE = "203.0.113.9"
FLOOD = 100_000
HOURS = 6
ENTRY_BYTES_MAX = 2_048
"""Stated in `docs/reference/wire/ledger.md`, of one entry with all that is stored of it."""


@dataclass
class World:
    bench: Bench
    desk: DoorDesk
    place: Path

    def refused(self, number: int, *, address: str = HERE, code: str = "proof.key", agent: str = "") -> None:
        """A message by a key that nobody has seen before."""
        error = Unverified("no", code=code, step="key", key=f"{number:043d}")
        self.desk.refused("mcp", error, Sender(address=address, port=1), agent=agent)

    async def written(self) -> list[dict[str, Any]]:
        await record_door_refusals(self.bench.recorder, self.bench.authority.registry, self.bench.counters)
        return self.bench.entries(Tag.DOOR_REFUSAL)

    @property
    def stored_bytes(self) -> int:
        return sum(
            len(one.leaf) + len(one.attachment)
            for one in self.bench.recorder.ledger.replay()
            if one.tag == Tag.DOOR_REFUSAL
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """On real files; the log must be in order to a stranger afterwards."""
    bench = Bench()
    disk = FileDisk(tmp_path, bench.clock)
    stores = await disk.opened()
    bench = Bench(
        clock=bench.clock, ledger=stores.ledger, registry=stores.registry, mandates=stores.mandates,
        approvals=stores.approvals, subject_keys=stores.subject_keys,
    )  # fmt: skip
    await bench.registered()
    desk = DoorDesk(**to_refuse(bench.walk), known=KnownCallers(registry=bench.authority.registry))
    yield World(bench, desk, disk.place / "log")
    await record_door_refusals(bench.recorder, bench.authority.registry, bench.counters, closing=True)
    await disk.closed()
    report = verify_ledger(disk.place / "log", key=ledger_key())
    assert report.errors == 0, report.as_lines()


@pytest.mark.requirement("WHO-02")
@pytest.mark.parametrize("sources", [1, FLOOD])
async def test_a_hundred_thousand_strangers_cost_the_stated_bytes_and_all_are_counted(
    world: World, sources: int
):
    for number in range(FLOOD):
        world.refused(
            number,
            address=f"10.{number % sources >> 16}.{number % sources >> 8 & 255}.{number % sources & 255}",
        )
    await record_door_refusals(
        world.bench.recorder, world.bench.authority.registry, world.bench.counters, closing=True
    )
    written = world.bench.entries(Tag.DOOR_REFUSAL)
    counts = [one["count"] for one in written]
    assert sum(counts) == FLOOD, "none is dropped silently"
    assert len(written) <= (bounds.ROOM_ENTRIES + 2 if sources == 1 else bounds.TOTAL_ENTRIES + 2)
    assert world.stored_bytes <= len(written) * ENTRY_BYTES_MAX


@pytest.mark.requirement("WHO-02")
async def test_what_strangers_make_us_keep_in_memory_is_bounded(world: World):
    tracemalloc.start()
    for number in range(FLOOD // 5):
        world.refused(number, address=f"10.1.{number >> 8}.{number % 256}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 8_000_000, held


@pytest.mark.requirement("WHO-02")
async def test_a_flood_that_goes_on_for_hours_is_bounded_by_the_hour(world: World):
    for minute in range(HOURS * 60):
        for number in range(20):
            world.refused(minute * 20 + number, address=f"10.0.{minute % 256}.{number}")
        await record_door_refusals(world.bench.recorder, world.bench.authority.registry, world.bench.counters)
        world.bench.clock.advance(60)
    written = world.bench.entries(Tag.DOOR_REFUSAL)
    hourly = 3_600_000 // bounds.TOTAL_REFILL_MILLIS
    others = HOURS * 3_600_000 // bounds.AGAIN_MILLIS
    assert len(written) <= bounds.TOTAL_ENTRIES + HOURS * hourly + others + 1
    await record_door_refusals(
        world.bench.recorder, world.bench.authority.registry, world.bench.counters, closing=True
    )
    counts = [one["count"] for one in world.bench.entries(Tag.DOOR_REFUSAL)]
    assert sum(counts) == HOURS * 60 * 20


@pytest.mark.requirement("WHO-01")
async def test_beside_a_flood_others_are_told_one_by_one(world: World):
    for number in range(1_000):
        world.refused(number)
    world.refused(5_000, address="198.51.100.1")
    world.refused(6_000, code="proof.replay")
    error = Unverified("no", code="proof.replay", step="replay", key=rovers_key(world))
    world.desk.refused("mcp", error, Sender(address=HERE, port=1))
    written = await world.written()
    keys = [one.get("key") for one in written]
    assert f"{5_000:043d}" in keys, "who comes from elsewhere"
    assert rovers_key(world) in keys, "whose key an agent's is, also from where the flood comes"
    codes = {(one["code"], one.get("key")) for one in written}
    assert ("proof.replay", None) in codes, "another kind from there, if no longer by its key"


@pytest.mark.requirement("WHO-02")
async def test_repetitions_are_counted_with_first_and_last_time(world: World):
    world.refused(1)
    (first,) = await world.written()
    for _ in range(40):
        world.bench.clock.advance(1)
        world.refused(1)
    assert len(await world.written()) == 1, "they wait"
    world.bench.clock.advance(bounds.AGAIN_MILLIS / 1_000)
    _, again = await world.written()
    assert (again["count"], again["key"]) == (40, first["key"])
    assert again["first"] == first["last"] + 1_000
    assert again["last"] == first["last"] + 40_000
    found = lines_of(world.bench.recorder, again["key"])
    (line,) = [one for one in found if one.index == again["index"]]
    assert line.text.startswith("40 messages were refused at door mcp: proof.key")


@pytest.mark.requirement("WHO-02")
async def test_what_comes_again_is_written_soon_at_first_so_that_a_crash_loses_a_minute_of_it(world: World):
    world.refused(1)
    assert len(await world.written()) == 1
    waited = []
    for minute in range(31):
        world.refused(1)
        if len(await world.written()) > 1 + len(waited):
            waited.append(minute)
        world.bench.clock.advance(60)
    assert waited == [1, 3, 7, 15, 25], "after a minute, and at last every ten"


@pytest.mark.requirement("WHO-02")
async def test_what_a_full_log_does_not_take_is_written_once_there_is_room(world: World):
    world.refused(1)
    world.refused(2)
    raw = world.bench.recorder.ledger
    troubled: Any = TroubledLedger(raw, Trouble(lambda _n, method: "full" if "submit" in method else None))
    world.bench.recorder.ledger = troubled
    with pytest.raises(Unavailable):
        await record_door_refusals(world.bench.recorder, world.bench.authority.registry, world.bench.counters)
    world.bench.recorder.ledger = raw
    assert [one["count"] for one in await world.written()] == [1, 1]


@pytest.mark.requirement("WHO-03")
async def test_a_stop_rule_counts_whom_a_door_knew_and_no_claim(world: World):
    walk = world.bench.walk
    documents: Any = [*bench_documents(), rule("knocking", "refused_at_door", limit=3, within="10m")]
    await apply_registry(*to_apply(walk), documents, by="ops")
    for number in range(10):
        error = Unverified("no", code="proof.replay", step="replay", key=rovers_key(world))
        world.desk.refused("mcp", error, Sender(address=HERE, port=number))
    assert not walk.counters.stop_rules.by_hold, "by a key that somebody merely named nobody is held"
    for _ in range(3):
        world.desk.refused("mcp", Malformed("no", code="rpc.shape"), Sender(address=HERE), agent="scout")
    assert not walk.counters.stop_rules.by_hold
    world.desk.refused("mcp", Malformed("no", code="rpc.batch"), Sender(address=HERE), agent="scout")
    (trip,) = walk.counters.stop_rules.by_hold.values()
    assert (trip.rule.name, trip.what.name) == ("knocking", "scout")
    with pytest.raises(Refused):
        await world.bench.act()
    await record_door_refusals(walk.recorder, walk.authority.registry, walk.counters, closing=True)
    found = await simulate_rule(
        IndexAtHand(walk.recorder), walk.recorder, walk.authority, walk.limits, "knocking"
    )
    assert [one.what.name for one in found.firings] == ["scout"], "and the same is counted from the entries"


@pytest.mark.requirement("WHO-01")
async def test_what_a_stranger_claims_is_told_as_a_claim_without_its_credentials(world: World):
    secret = "AKIAIOSFODNN7EXAMPLE"
    fields = [(b"answerable-mandate", b"m-1"), (b"authorization", b"Bearer " + secret.encode())]
    error = Unverified("no", code="proof.credential", step="credential")
    world.desk.refused("mcp", error, Sender(address=HERE, port=9, headers=fields))
    (entry,) = await world.written()
    assert "agent" not in entry
    leaf, payload = world.bench.opened(entry["index"])
    assert payload["mandate_named"] == "m-1"
    assert payload["peer"] == f"{HERE} port 9"
    assert secret not in str(leaf) + str(payload)


def rovers_key(world: World) -> str:
    return world.bench.authority.registry.current.agents["rover"].keys[0].thumbprint
