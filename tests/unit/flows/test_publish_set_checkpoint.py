"""The log of logs: what is written about each shard, what is refused a head, and what readers of it notice."""

from __future__ import annotations

import pytest

from answerable.core.canonical import parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.shards import SHARDS_MAX, ShardGap
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Unavailable
from answerable.flows.ledger.publish_set_checkpoint import Covering, ShardState, require_led_on
from answerable.testing.clock import START, ManualClock
from answerable.testing.fault_injection import Trouble, TroubledLedger
from tests.worlds.shard import BASE, ShownLog, heads_ledger, key_of, shown_heads

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SHARD-02", "SHARD-03")]

UNREADABLE = Unavailable("cannot read it: input/output error", code="ledger.unreadable", port="ledger")
HEADS_KEY = key_of(f"{BASE}/heads")[0]


def covering() -> Covering:
    return Covering(base=BASE, clock=ManualClock())


def written(ledger, *tags: Tag):
    leaves = [parse(stored.leaf) for stored in ledger.replay()]
    return [leaf for leaf in leaves if isinstance(leaf, dict) and leaf["tag"] in (tags or (Tag.SHARD_HEAD,))]


def sizes(ledger) -> list[tuple[str, int]]:
    return [(leaf["origin"].removeprefix(f"{BASE}/"), leaf["size"]) for leaf in written(ledger)]


async def kept(*shards: ShownLog):
    """A log of logs that covers these shards, and who keeps it."""
    ledger, keeper = heads_ledger(), covering()
    await keeper.recall(ledger)
    await keeper.cover(ledger, shards)
    return ledger, keeper


async def test_each_shard_gets_a_head_and_another_one_when_it_grew():
    a, b = ShownLog("a").grown(3), ShownLog("b").grown(1)
    ledger, keeper = await kept(a, b)
    assert sizes(ledger) == [("a", 3), ("b", 1)]
    assert await keeper.cover(ledger, (a.grown(2), b)) is True
    assert await keeper.cover(ledger, (a, b)) is False, "nothing grew"
    assert sizes(ledger) == [("a", 3), ("b", 1), ("a", 5)]
    assert keeper.states() == (
        ShardState(origin=a.origin, state="ok", size=5),
        ShardState(origin=b.origin, state="ok", size=1),
    )
    head = keeper.head_of(a.origin)
    assert head is not None
    assert head.note() == a.note


async def test_a_shard_that_has_signed_nothing_yet_waits():
    new, keyless = ShownLog("a"), ShownLog("b").grown(1)
    keyless.has_key = False
    ledger, keeper = await kept(new, keyless)
    assert not sizes(ledger)
    assert [one.state for one in keeper.states()] == ["waiting", "waiting"]
    await keeper.cover(ledger, (new.grown(1), keyless))
    assert [one.state for one in keeper.states()] == ["ok", "waiting"]


async def test_a_shard_that_went_back_gets_a_gap_once_and_no_head():
    a, b = ShownLog("a").grown(5), ShownLog("b").grown(1)
    ledger, keeper = await kept(a, b)
    a.cut(3)
    for _ in range(3):
        await keeper.cover(ledger, (a, b.grown(1)))
    assert sizes(ledger) == [("a", 5), ("b", 1), ("b", 2), ("b", 3), ("b", 4)], "others are covered as before"
    [gap] = written(ledger, Tag.GAP)
    assert (gap["origin"], gap["why"], gap["covered"], gap["size"]) == (a.origin, "rolled_back", 5, 3)
    first, second = keeper.states()
    assert (first.state, first.size, second.state) == ("alarm", 5, "ok")
    assert "rolled back" in first.reason


async def test_a_forked_shard_stays_uncovered_while_its_fork_grows():
    a = ShownLog("a").grown(5)
    ledger, keeper = await kept(a)
    a.cut(3).grown(4, mark="other ")
    await keeper.cover(ledger, (a,))
    await keeper.cover(ledger, (a.grown(1, mark="other "),))
    assert sizes(ledger) == [("a", 5)]
    assert [(gap["why"], gap["size"]) for gap in written(ledger, Tag.GAP)] == [("forked", 7), ("forked", 8)]


@pytest.mark.parametrize("how", ["gone", "no checkpoint", "no key", "other key", "unsigned"])
async def test_a_shard_that_cannot_lead_on_is_in_alarm(how):
    a = ShownLog("a").grown(5)
    ledger, keeper = await kept(a)
    other = ShownLog("a", salt="new").grown(9)
    if how == "no key":
        a.has_key = False
    if how == "no checkpoint":
        a.note = None
    if how == "unsigned":
        a.note = other.note
    shown = {"gone": (), "other key": (other,)}.get(how, (a,))
    await keeper.cover(ledger, shown)
    await keeper.cover(ledger, shown)
    [gap] = written(ledger, Tag.GAP)
    assert gap["why"] == {"other key": "other_key", "unsigned": "unsigned"}.get(how, "missing")
    [state] = keeper.states()
    assert (state.state, state.size) == ("alarm", 5)
    assert state.reason


async def test_a_shard_that_leads_on_again_is_covered_again():
    a = ShownLog("a").grown(5)
    ledger, keeper = await kept(a)
    await keeper.cover(ledger, ())
    assert keeper.states()[0].state == "alarm"
    await keeper.cover(ledger, (a,))
    assert sizes(ledger) == [("a", 5), ("a", 5)], "that it is back is written down"
    assert keeper.states() == (ShardState(origin=a.origin, state="ok", size=5),)
    assert await keeper.cover(ledger, (a,)) is False


async def test_a_shard_that_cannot_be_read_is_looked_at_again():
    a = ShownLog("a").grown(5)
    ledger, keeper = await kept(a)
    a.grown(1).fails = UNREADABLE
    assert await keeper.cover(ledger, (a,)) is False
    assert keeper.states() == (ShardState(origin=a.origin, state="alarm", size=5, reason=UNREADABLE.message),)
    assert not written(ledger, Tag.GAP), "it may pass"
    a.fails = None
    await keeper.cover(ledger, (a,))
    assert sizes(ledger)[-1] == ("a", 6)
    assert keeper.states()[0].state == "ok"


async def test_more_shards_than_there_may_be_are_in_alarm():
    shards = [ShownLog(f"s{number:04}").grown(1) for number in range(SHARDS_MAX + 2)]
    ledger, keeper = await kept(*shards)
    assert len(sizes(ledger)) == SHARDS_MAX
    assert [one.state for one in keeper.states()].count("alarm") == 2


async def test_what_cannot_be_written_is_due_again():
    a = ShownLog("a").grown(5)
    ledger, keeper = heads_ledger(), covering()
    await keeper.recall(ledger)
    full = TroubledLedger(ledger, Trouble(lambda number, _: "full" if number == 0 else None))
    with pytest.raises(Unavailable):
        await keeper.cover(full, (a,))
    assert keeper.head_of(a.origin) is None
    assert await keeper.cover(full, (a,)) is True
    assert sizes(ledger) == [("a", 5)]


# --- others who keep it, and who only read --------------------------------------------------------


async def test_the_next_keeper_goes_on_where_the_last_one_ended():
    a, b = ShownLog("a").grown(5), ShownLog("b").grown(2)
    ledger, _ = await kept(a, b)
    again = covering()
    await again.recall(ledger)
    assert await again.cover(ledger, (a, b)) is False
    a.cut(3)
    await again.cover(ledger, (a, b))
    assert [gap["why"] for gap in written(ledger, Tag.GAP)] == ["rolled_back"]
    third = covering()
    await third.recall(ledger)
    assert await third.cover(ledger, (a, b)) is False, "the gap is known, too"
    assert third.states() == again.states()


async def test_who_follows_knows_what_the_keeper_knows_and_can_take_over():
    a = ShownLog("a").grown(5)
    ledger, keeper = await kept(a)
    reader = covering()
    await reader.follow(shown_heads(ledger), HEADS_KEY)
    assert reader.states() == keeper.states()
    await keeper.cover(ledger, (a.grown(300),))
    await keeper.cover(ledger, ())
    shown = shown_heads(ledger)
    await reader.follow(shown, HEADS_KEY)
    await reader.follow(shown, HEADS_KEY)
    assert reader.states() == keeper.states()
    await keeper.cover(ledger, (a,))
    await reader.recall(ledger)
    assert reader.states() == keeper.states()
    assert await reader.cover(ledger, (a,)) is False


async def test_a_log_of_logs_that_is_not_there_yet_says_nothing():
    reader = covering()
    await reader.follow(ShownLog("heads"), HEADS_KEY)
    assert reader.states() == ()


async def test_long_logs_of_logs_are_read_in_turns():
    a = ShownLog("a")
    ledger, keeper = await kept()
    for _ in range(600):
        await keeper.cover(ledger, (a.grown(),))
    reader = covering()
    await reader.follow(shown_heads(ledger), HEADS_KEY)
    assert reader.states() == (ShardState(origin=a.origin, state="ok", size=600),)


@pytest.mark.parametrize("how", ["cut", "other entries", "other key"])
async def test_a_log_of_logs_that_went_back_is_noticed_by_who_only_reads(how):
    a = ShownLog("a").grown(5)
    ledger, keeper = await kept(a)
    await keeper.cover(ledger, (a.grown(1),))
    reader, shown = covering(), shown_heads(ledger)
    await reader.follow(shown, HEADS_KEY)
    if how == "cut":
        shown.cut(2)
    elif how == "other entries":
        shown.cut(2).grown(4)
    else:
        shown = shown_heads(ledger, salt="new")
    with pytest.raises(Broken) as told:
        await reader.follow(shown, HEADS_KEY)
    assert told.value.code == ("ledger.corrupt" if how == "other key" else "ledger.rolled_back")


@pytest.mark.parametrize(
    "members", [{}, {"origin": "o", "size": 1}, {"origin": "o", "why": "forked", "covered": "x", "size": 1}]
)
async def test_a_head_that_is_none_is_not_believed(members):
    ledger = heads_ledger()
    tag = Tag.GAP if "why" in members else Tag.SHARD_HEAD
    await ledger.append(sealed_entry(tag, at=UnixMillis(START), members=members))
    with pytest.raises(Broken) as told:
        await covering().recall(ledger)
    assert told.value.code == "ledger.corrupt"


async def test_an_entry_without_a_tag_is_not_passed_over():
    shown = ShownLog("heads").grown(1)
    shown.entries = [b"[]"]
    with pytest.raises(Broken):
        await covering().follow(shown.signed(), HEADS_KEY)


# --- a shard that starts ----------------------------------------------------------------------------


async def test_a_shard_that_leads_on_from_its_head_may_start():
    a, b = ShownLog("a").grown(5), ShownLog("b").grown(1)
    ledger, _ = await kept(a, b)
    heads = shown_heads(ledger)
    require_led_on(a.origin, shard=a, heads=heads)
    require_led_on(a.origin, shard=a.grown(3), heads=heads)
    require_led_on(f"{BASE}/new", shard=ShownLog("new"), heads=heads)
    require_led_on(a.origin, shard=a, heads=ShownLog("heads"))


@pytest.mark.parametrize("how", ["rolled back", "forked", "missing", "no key", "with another key"])
async def test_a_shard_that_does_not_may_not_start(how):
    a = ShownLog("a").grown(5)
    ledger, keeper = await kept(a)
    await keeper.cover(ledger, (a.grown(2),))
    match how:
        case "rolled back":
            a.cut(5)
        case "forked":
            a.cut(5).grown(9, mark="other ")
        case "missing":
            a = ShownLog("a")
        case "no key":
            a.has_key = False
        case _:
            a = ShownLog("a", salt="new").grown(9)
    with pytest.raises(Broken) as told:
        require_led_on(f"{BASE}/a", shard=a, heads=shown_heads(ledger))
    assert told.value.code == "ledger.rolled_back"
    assert "does not continue its last head" in told.value.message


async def test_a_gap_for_a_reason_that_is_not_known_is_told_as_it_is():
    a = ShownLog("a").grown(5)
    ledger, _ = await kept(a)
    gap = ShardGap(origin=a.origin, why="later_reason", covered=5, size=5)
    await ledger.append(gap.entry(at=UnixMillis(START)))
    reader = covering()
    await reader.follow(shown_heads(ledger), HEADS_KEY)
    assert "later_reason" in reader.states()[0].reason
