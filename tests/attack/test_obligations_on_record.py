"""What the log keeps under an obligation, who is told, who has seen it, and what people alone may read."""

from __future__ import annotations

import hashlib
import json

import anyio
import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import settle_open_intents
from tests.unit.flows.test_known_outcomes import Crowded
from tests.worlds.obligation import NARROW, SECRET, answers, bench_with, everything, obliging, story
from tests.worlds.parts import to_settle
from tests.worlds.walk import fields_of, stored_of

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("OBL-10")
async def test_with_digests_alone_the_log_holds_nothing_of_what_went_in_or_came_out():
    bench = await bench_with(obliging("log:digest"), NARROW)
    answers(bench, {"content": [{"type": "text", "text": SECRET}]})
    answer = await bench.act("refund", {"case": "4711", "amount": 987654})
    assert answer.outcome is not None
    assert answer.outcome.result == {"content": [{"type": "text", "text": SECRET}]}
    (intent,), (end,) = fields_of(bench, Tag.INTENT), fields_of(bench, Tag.OUTCOME)
    assert not {"action", "request", "asked", "question", "asked_question"} & intent.keys()
    assert intent["digest"] == intent["request_digest"] == bench.upstream.effects[0].digest
    assert len(intent["asked_digest"]) == 64
    assert "result" not in end
    whole = json.dumps(answer.outcome.result, separators=(",", ":")).encode()
    assert end["result_digest"] == hashlib.sha256(whole).hexdigest()
    assert SECRET not in everything(bench)
    assert "987654" not in everything(bench)
    told = story(bench, answer.action_id)
    assert "use crm.refund" in told
    assert "what was asked for is kept as digest" in told
    assert bench.upstream.violations == []
    answers(bench, None, status="failed", detail=f"the upstream reports an error: `{SECRET}`")
    await bench.act()
    assert SECRET not in everything(bench)


@pytest.mark.requirement("OBL-10")
@pytest.mark.parametrize("code", ["ledger.full", "ledger.busy"])
async def test_an_end_that_is_written_later_is_kept_as_the_obligation_says(code):
    bench = await bench_with(obliging("log:digest"))
    answers(bench, {"content": [{"type": "text", "text": SECRET}]})
    bench.recorder.ledger = Crowded(bench.recorder.ledger, code)
    with pytest.raises(Unavailable):
        await bench.act()
    bench.recorder.ledger.crowded = False
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    assert "result_digest" in fields_of(bench, Tag.OUTCOME)[0]
    assert SECRET not in everything(bench)


@pytest.mark.requirement("OBL-10")
async def test_in_full_a_long_answer_is_not_cut():
    long = {"content": [{"type": "text", "text": "x" * 100_000}]}
    for policy, wanted in (("", False), (obliging("log:full"), True)):
        bench = await bench_with(policy)
        answers(bench, long)
        await bench.act()
        (fields,) = fields_of(bench, Tag.OUTCOME)
        assert (fields["result"] == long) is wanted
        assert ("result_digest" in fields) is not wanted


@pytest.mark.requirement("OBL-10")
async def test_a_question_to_people_about_it_keeps_digests_too():
    bench = await bench_with(obliging("log:digest", more='@approve("approvers:1")'))
    waiting = (await bench.act("get_case", {"case": "4711-x"})).approval
    assert waiting is not None
    (fields,) = fields_of(bench, Tag.APPROVAL_ASKED)
    assert not {"action", "question"} & fields.keys()
    assert fields["digest"] == waiting.action.hex
    assert "4711-x" not in everything(bench)


# --- who is told ---


@pytest.mark.requirement("OBL-09")
async def test_groups_are_told_once_the_intent_is_durable_and_before_anything_is_done():
    bench = await bench_with(obliging("notify:privacy; notify:finance"))
    told_before: list[int] = []

    async def before(_effect) -> None:
        told_before.append(len(bench.channel.notified))

    bench.upstream.before = before
    answer = await bench.act()
    assert told_before == [2]
    assert [one.group for one in bench.channel.notified] == ["finance", "privacy"]
    notice = bench.channel.notified[0]
    assert answer.intent is not None
    assert (notice.action_id, notice.intent) == (answer.action_id, answer.intent.index)
    assert notice.capability == "crm.read"
    assert fields_of(bench, Tag.INTENT)[0]["obligations"] == ["notify:privacy", "notify:finance"]


@pytest.mark.requirement("OBL-09")
async def test_a_channel_that_fails_changes_nothing_and_an_intent_that_is_not_written_tells_nobody():
    bench = await bench_with(obliging("notify:privacy"))

    def fails(_notice) -> None:
        raise ConnectionError("on purpose")

    bench.asking.channel.notify = fails
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.status == "succeeded"
    bench = await bench_with(obliging("notify:privacy"))
    await bench.act()
    submit = bench.recorder.ledger.submit

    def full(entry):
        if entry.tag == Tag.INTENT:
            raise Unavailable("no room", code="ledger.full", port="ledger")
        return submit(entry)

    bench.recorder.ledger.submit = full
    with pytest.raises(Unavailable):
        await bench.act()
    assert len(bench.channel.notified) == 1


@pytest.mark.requirement("OBL-11")
async def test_reasons_for_people_are_in_the_log_and_in_nothing_that_the_agent_is_told():
    hidden = "case 77 of the fraud team"
    internal = f'@internal("{hidden}")'
    deny = f'@id("no") @reason("not today") {internal} forbid(principal, action == Action::"crm.read", resource);\n'
    ask = f'@id("ask") @reason("somebody looks") {internal} @approve("approvers:1")\n'
    ask += 'forbid(principal, action == Action::"crm.refund", resource);\n'
    bench = await bench_with(deny, ask)
    with pytest.raises(Refused) as no:
        await bench.act()
    assert hidden not in f"{no.value} {no.value.message} {no.value.reasons}"
    (fields,) = fields_of(bench, Tag.REFUSAL)
    assert fields["internal"] == [{"source": "no", "text": hidden}]
    assert hidden not in str(fields["reasons"])
    waiting = (await bench.refund(10)).approval
    assert waiting is not None
    assert waiting.internal == (hidden,)
    assert hidden not in str(waiting.reasons)
    assert fields_of(bench, Tag.APPROVAL_ASKED)[0]["internal"] == [{"source": "ask", "text": hidden}]
    assert f"for people only, no: {hidden}" in story(bench, "scout")
    assert all(hidden not in stored.leaf.decode() for stored in stored_of(bench, *Tag))


# --- who has seen it ---


class Watching:
    """A witness that a test lets see, or not."""

    def __init__(self, sees: bool | Exception = True) -> None:
        self.sees = sees
        self.asked: list[tuple[int, float]] = []

    async def covers(self, index: int, *, seconds_max: float) -> bool:
        self.asked.append((index, seconds_max))
        if isinstance(self.sees, Exception):
            raise self.sees
        return self.sees


@pytest.mark.requirement("OBL-08")
async def test_without_witnesses_it_is_a_deny_and_no_question():
    for more in ("", '@approve("approvers:1")'):
        bench = await bench_with(obliging("witnessed", more=more))
        with pytest.raises(Refused) as no:
            await bench.act()
        assert no.value.code == "obligation.unfulfillable"
        assert bench.entries(Tag.INTENT) == bench.entries(Tag.APPROVAL_ASKED) == []
        assert bench.channel.announced == []


@pytest.mark.requirement("OBL-08")
async def test_nothing_is_done_before_witnesses_have_seen_the_intent():
    bench = await bench_with(obliging("witnessed"))
    bench.recorder.witness = watching = Watching()
    answer = await bench.act()
    assert answer.intent is not None
    ((index, seconds),) = watching.asked
    assert index == answer.intent.index
    assert 0 < seconds <= bench.walk.limits.intent_ttl_ms / 1000
    assert len(bench.upstream.effects) == 1
    for sees in (False, Unavailable("down", code="ledger.poisoned", port="ledger")):
        bench.recorder.witness = Watching(sees)
        answer = await bench.act()
        assert answer.outcome is not None
        assert answer.outcome.status == "not_started"
    assert len(bench.upstream.effects) == 1
    assert len(bench.entries(Tag.OUTCOME)) == 3


@pytest.mark.requirement("OBL-08")
async def test_a_caller_who_leaves_while_witnesses_are_asked_leaves_nothing_undone_unsaid():
    bench = await bench_with(obliging("witnessed"))

    class Slow(Watching):
        async def covers(self, index: int, *, seconds_max: float) -> bool:
            await anyio.sleep_forever()
            return True

    bench.recorder.witness = Slow()
    with anyio.move_on_after(0.02):
        await bench.act()
    (end,) = bench.entries(Tag.OUTCOME)
    assert end["status"] == "not_started"
    assert bench.upstream.effects == []
