"""Whom a waiting action is told to, and what a channel that fails, floods or lies can keep up."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import anyio
import pytest

from answerable.adapters.sqlite import SqliteDeliveryRegister, SqliteStore
from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.delivery import Delivery
from answerable.core.approval.route import Route
from answerable.flows.approval.notify_people import notify_people, reach_always
from answerable.flows.state.reach_desk import NOTICES_MAX, NotificationState, ReachLimits
from answerable.ports.message_channel import Sent
from answerable.sdk.signing import signed_mandate
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh
from answerable.testing.samples import mandate_terms, signing_key
from tests.worlds.channel import EVERYBODY, LoudChannel, Reach, asked, notice, reach_bench

pytestmark = pytest.mark.anyio
REQUESTER = Route(group="@requester", channel="email")
MINUTE = 60.0


def people(reach: Reach, kind: str = "asked") -> set[str]:
    return {address for address, told in reach.channel.kinds() if told == kind}


@pytest.mark.requirement("CHANNEL-02")
async def test_those_who_may_answer_are_told_and_nobody_else():
    reach = await reach_bench()
    await asked(reach)
    assert await reach.tell() == 2
    assert people(reach) == {"bob@example.com", "carol@example.com"}


@pytest.mark.requirement("CHANNEL-02")
async def test_whoever_gave_the_task_or_owns_the_agent_is_not_asked_for_a_yes_that_would_not_count():
    documents = bench_documents()
    for one in documents:
        match one:
            case {"kind": "Agent", "metadata": {"name": "scout"}, "spec": {"ownership": dict(ownership)}}:
                ownership["owner"] = "carol"
    reach = await reach_bench(documents=documents)
    await asked(reach)
    await reach.tell()
    assert people(reach) == {"bob@example.com"}


@pytest.mark.requirement("CHANNEL-02")
async def test_whoever_has_answered_already_is_not_asked():
    reach = await reach_bench()
    waiting = await asked(reach, 60_000)
    assert (await reach.bench.answer(waiting)).state == "pending"
    await reach.tell()
    assert people(reach) == {"carol@example.com"}


@pytest.mark.requirement("CHANNEL-02")
@pytest.mark.parametrize("group", ["sales", "strangers"])
async def test_a_group_that_is_not_asked_hears_nothing(group):
    reach = await reach_bench(routes=(Route(group=group, channel="email"),))
    await asked(reach)
    assert await reach.tell() == 0
    assert reach.channel.told == []


@pytest.mark.requirement("CHANNEL-02")
async def test_a_place_is_told_once_for_all_of_a_group_and_only_of_its_questions():
    routes = (
        Route(group="approvers", channel="email", place="C0APPROVERS"),
        Route(group="sales", channel="email", place="C0SALES"),
    )
    reach = await reach_bench(routes=routes)
    await asked(reach)
    await reach.tell()
    assert reach.channel.kinds() == [("C0APPROVERS", "asked")]


@pytest.mark.requirement("CHANNEL-02")
async def test_whose_task_it_is_hears_what_came_of_it_and_who_said_so_where_that_is_shown():
    for names, said in ((("email",), ("approved by", "bob")), ((), ("for", "alice"))):
        reach = await reach_bench(routes=(REQUESTER,), names=names)
        waiting = await asked(reach)
        assert await reach.tell() == 0
        await reach.bench.answer(waiting)
        await reach.tell()
        ((address, message),) = reach.channel.told
        assert (address, message.kind, message.title) == (
            "alice@example.com",
            "result",
            "Of your task: Approved",
        )
        assert message.lines[-1] == said


@pytest.mark.requirement("CHANNEL-02")
async def test_those_who_were_asked_hear_that_it_is_over_and_nobody_is_asked_then():
    reach = await reach_bench()
    waiting = await asked(reach)
    await reach.tell()
    await reach.bench.answer(waiting, verdict="deny", comment="<b>no</b>")
    await reach.tell()
    ended = [message for _, message in reach.channel.told if message.kind == "ended"]
    assert [one.title for one in ended] == ["Denied", "Denied"]
    assert all("no" not in text for one in ended for pair in one.lines for text in pair if "<" in text)
    assert set(reach.channel.handles[2:]) == {
        f"{name}@example.com/{waiting.id}.asked" for name in ("bob", "carol")
    }
    late = await asked(reach, 6_001)
    await reach.bench.answer(late, verdict="deny")
    before = len(reach.channel.told)
    assert await reach.tell() == 0
    assert len(reach.channel.told) == before


@pytest.mark.requirement("CHANNEL-02")
async def test_a_channel_that_changes_nothing_afterwards_is_told_no_end():
    reach = await reach_bench()
    reach.channel.updates = False
    waiting = await asked(reach)
    await reach.tell()
    await reach.bench.answer(waiting)
    assert await reach.tell() == 0


@pytest.mark.requirement("CHANNEL-02")
async def test_what_ended_before_a_channel_was_set_up_is_nobodys_news():
    bench = Bench()
    await bench.registered()
    await bench.issue()
    over = await bench.refund(6_000)
    assert over.approval is not None
    await bench.answer(over.approval)
    bench.clock.advance(1.0)
    channel = LoudChannel()
    bench.asking.reach = NotificationState(
        register=fresh(SqliteDeliveryRegister),
        channels={"email": channel},
        addresses={"email": lambda name: (name,)},
        routes=(*EVERYBODY, REQUESTER),
    )
    assert (
        await notify_people(
            bench.recorder.ledger,
            bench.authority,
            bench.asking,
            bench.live.link,
            bench.walk.entropy,
            "email",
        )
        == 0
    )
    assert channel.told == []


@pytest.mark.requirement("CHANNEL-02")
async def test_a_person_who_is_disabled_or_has_no_address_is_missed_and_that_is_seen():
    reach = await reach_bench()
    waiting = await asked(reach)
    reach.desk.addresses = {"email": lambda person: (person,) if person == "carol" else ()}
    await reach.tell()
    assert people(reach) == {"carol"}
    (bob,) = [one for one in reach.desk.register.of(waiting.id) if one.to == "person:bob"]
    assert bob.missed
    assert bob.error == "no address there"
    assert reach.desk.register.open("email", now=0).missed == 1


@pytest.mark.requirement("CHANNEL-02")
async def test_where_no_channel_is_set_nothing_runs_and_nothing_is_kept():
    desk = NotificationState(register=fresh(SqliteDeliveryRegister))
    bench = Bench(channel=desk)
    bench.asking.reach = desk
    desk.notify(notice())
    with anyio.fail_after(20):
        await reach_always(
            bench.recorder.ledger, bench.authority, bench.asking, bench.live.link, bench.walk.entropy
        )
    assert not desk.notices


@pytest.mark.requirement("CHANNEL-02")
async def test_what_policy_wants_a_group_to_know_is_told_to_that_group():
    reach = await reach_bench()
    reach.desk.notify(notice())
    reach.desk.notify(notice(2, group="sales"))
    reach.desk.notify(notice(3, group="nobody"))
    assert await reach.tell() == 4
    assert sorted(reach.channel.kinds()) == [
        ("alice@example.com", "notice"),
        ("bob@example.com", "notice"),
        ("carol@example.com", "notice"),
        ("dan@example.com", "notice"),
    ]
    assert await reach.tell() == 0


@pytest.mark.requirement("CHANNEL-03")
async def test_notices_past_the_bound_are_counted_and_the_walk_is_not_kept():
    reach = await reach_bench()
    for number in range(NOTICES_MAX + 3):
        reach.desk.notify(notice(number))
    assert (len(reach.desk.notices), reach.desk.lost) == (NOTICES_MAX, 3)


@pytest.mark.requirement("CHANNEL-03")
async def test_a_notice_that_cannot_be_told_in_time_is_missed():
    reach = await reach_bench()
    reach.channel.always = Sent(state="later", why="grey")
    reach.desk.notify(notice())
    assert await reach.tell() == 0
    reach.bench.clock.advance(61 * MINUTE)
    await reach.tell()
    assert {one.missed for one in reach.desk.register.of("action-1.approvers")} == {True}


@pytest.mark.requirement("CHANNEL-03")
async def test_a_restart_between_the_question_and_its_telling_forgets_nobody(tmp_path):
    store = SqliteStore.open(tmp_path / "registers.db")
    reach = await reach_bench(register=SqliteDeliveryRegister(store))
    waiting = await asked(reach)
    after = reach.restarted()
    assert await after.tell() == 2
    again = after.restarted()
    assert await again.tell() == 0
    await again.bench.answer(waiting)
    assert await again.restarted().tell() == 2
    assert len(reach.channel.told) == 4


@pytest.mark.requirement("CHANNEL-03")
async def test_of_two_processes_one_tells_and_nobody_hears_it_twice(tmp_path):
    registers = [SqliteDeliveryRegister(SqliteStore.open(tmp_path / "registers.db")) for _ in range(2)]
    reach = await reach_bench(register=registers[0])
    other = replace_register(reach, registers[1])
    for amount in range(6_000, 6_006):
        await asked(reach, amount)
    async with anyio.create_task_group() as tasks:
        for desk in (reach.desk, other):
            bench, asking = reach.bench, copy(reach.bench.asking)
            asking.reach = desk
            given = (bench.recorder.ledger, bench.authority, asking, bench.live.link, bench.walk.entropy)
            for _ in range(3):
                tasks.start_soon(notify_people, *given, "email")
    await reach.tell()
    assert len(reach.channel.told) == len(set(reach.channel.told)) == 12


def replace_register(reach: Reach, register: SqliteDeliveryRegister) -> NotificationState:
    return NotificationState(
        register=register,
        channels=reach.desk.channels,
        addresses=reach.desk.addresses,
        routes=reach.desk.routes,
    )


@pytest.mark.requirement("CHANNEL-03")
async def test_one_receiver_who_cannot_be_told_now_is_tried_again_with_pauses_that_grow():
    reach = await reach_bench(limits=ReachLimits(at_once_max=1))
    later = Sent(state="later", why="greylisted with code 451")
    reach.channel.answers = [later]
    waiting = await asked(reach)
    assert await reach.tell() == 1
    pauses = []
    for _ in range(3):
        (left,) = [one for one in reach.desk.register.of(waiting.id) if not one.told]
        pauses.append(left.next_at - reach.bench.clock.now())
        reach.bench.clock.advance(pauses[-1] / 1000)
        reach.channel.answers = [later]
        await reach.tell()
    assert pauses == [2_000, 4_000, 8_000]
    reach.channel.answers = []
    reach.bench.clock.advance(MINUTE)
    assert await reach.tell() == 1
    assert people(reach) == {"bob@example.com", "carol@example.com"}
    assert not any(one.error for one in reach.desk.register.of(waiting.id))


@pytest.mark.requirement("CHANNEL-03")
async def test_what_was_refused_for_good_is_not_tried_again():
    reach = await reach_bench()
    reach.channel.always = Sent(state="never", why="the server refused the address with code 550")
    waiting = await asked(reach)
    await reach.tell()
    reach.channel.always = Sent(state="taken")
    reach.bench.clock.advance(5 * MINUTE)
    assert await reach.tell() == 0
    assert all(one.missed and "550" in one.error for one in reach.desk.register.of(waiting.id))


@pytest.mark.requirement("CHANNEL-03")
async def test_a_question_that_ended_before_anybody_could_be_told_is_missed():
    reach = await reach_bench()
    reach.channel.always = Sent(state="later", why="greylisted")
    waiting = await asked(reach)
    await reach.tell()
    reach.bench.clock.advance(20 * MINUTE)
    reach.channel.always = Sent(state="taken")
    assert await reach.tell() == 0
    assert all(one.missed for one in reach.desk.register.of(waiting.id))


@pytest.mark.requirement("CHANNEL-03")
async def test_what_came_of_it_is_told_for_an_hour_and_then_not_any_more():
    reach = await reach_bench()
    waiting = await asked(reach)
    await reach.tell()
    await reach.bench.answer(waiting)
    reach.bench.clock.advance(62 * MINUTE)
    assert await reach.tell() == 0


@pytest.mark.requirement("CHANNEL-05")
async def test_an_approval_without_a_card_is_told_to_nobody():
    reach = await reach_bench()
    waiting = await asked(reach)
    bare = replace(waiting, card=waiting.action)
    assert reach.bench.authority.approvals.replace(bare, was=waiting)
    assert await reach.tell() == 0
    assert all(one.missed for one in reach.desk.register.of(waiting.id))
    await reach.bench.answer(bare)
    assert await reach.tell() == 0


@pytest.mark.requirement("CHANNEL-05")
async def test_no_argument_reason_or_comment_is_in_what_is_told():
    reach = await reach_bench(routes=(*EVERYBODY, REQUESTER))
    answer = await reach.bench.act(
        "refund", {"case": "4711", "amount": 6_543}, reason="see http://evil.example <b>now</b>"
    )
    assert answer.approval is not None
    await reach.tell()
    await reach.bench.answer(answer.approval, comment="said-aloud")
    await reach.tell()
    whole = repr([message for _, message in reach.channel.told])
    assert len(reach.channel.told) == 5
    for secret in ("6543", "6,543", "evil", "said-aloud"):
        assert secret not in whole


@pytest.mark.requirement("CHANNEL-03")
async def test_a_process_tells_only_of_what_can_be_answered_at_it():
    reach = await reach_bench()
    waiting = await asked(reach)
    mandate = reach.bench.authority.mandates.find(waiting.mandate)
    assert mandate is not None
    token = signed_mandate(mandate_terms("m-1"), audience="example.test/other", key=signing_key("alice"))
    elsewhere = replace(mandate, token=token)

    class Elsewhere:
        def find(self, _name):
            return elsewhere

    reach.bench.live.link = object()
    before, reach.bench.authority.mandates = reach.bench.authority.mandates, Elsewhere()
    assert await reach.tell() == 0
    assert reach.desk.register.of(waiting.id) == ()
    reach.bench.authority.mandates = before
    assert await reach.tell() == 2
    reach.bench.authority.mandates = Elsewhere()
    reach.bench.clock.advance(20 * MINUTE)
    assert await reach.tell() == 0
    assert not any(one.missed for one in reach.desk.register.of(waiting.id))


@pytest.mark.requirement("CHANNEL-02")
async def test_a_place_is_told_once_of_what_its_group_is_to_know():
    reach = await reach_bench(routes=(Route(group="approvers", channel="email", place="C0APPROVERS"),))
    reach.desk.notify(notice())
    await reach.tell()
    assert reach.channel.kinds() == [("C0APPROVERS", "notice")]


@pytest.mark.requirement("CHANNEL-03")
async def test_what_a_register_lost_or_spoiled_is_missed_and_ends_nothing():
    reach = await reach_bench()
    waiting = await asked(reach)
    await reach.tell()
    lost = Delivery(about="gone", channel="email", to="person:bob", made_at=reach.bench.clock.now())
    reach.desk.register.keep([lost])
    spoiled = replace(waiting, card=waiting.action, shown=waiting.action, state="denied")
    assert reach.bench.authority.approvals.replace(spoiled, was=waiting)
    assert await reach.tell() == 0
    assert reach.desk.register.of("gone")[0].missed
    unreadable = replace(lost, about="notice", body="{}")
    reach.desk.register.keep([unreadable])
    assert await reach.tell() == 0
    assert reach.desk.register.of("notice")[0].missed
    again = replace(spoiled, state="pending", id=ApprovalId("again"), shown=waiting.action)
    reach.bench.authority.approvals.add(again)
    assert await reach.tell() == 0
    assert all(one.missed for one in reach.desk.register.of("again"))
