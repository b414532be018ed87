"""Whoever wants to see, do or keep more than an obligation allows: the agent, the tool, a crash, a later version."""

from __future__ import annotations

import hashlib
import json

import anyio
import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.decision.decision import Decision, Reason
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.caveat import ArgumentAtMost, ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused, Unavailable
from answerable.flows.govern_action import govern_action
from answerable.flows.reconstruct_timeline import reconstruct_timeline
from answerable.flows.settle_open_intents import settle_open_intents
from answerable.testing.builders import Bench, bench_documents, with_spending
from tests.unit.flows.test_known_outcomes import Crowded
from tests.walk_world import fields_of, stored_of

pytestmark = pytest.mark.anyio

PERMIT = '@id("all") @reason("for the task") permit(principal, action, resource);\n'
SECRET = "maria@example.com"


def obliging(obligations: str, *, when: str = "", name: str = "lift", more: str = "") -> str:
    escaped = obligations.replace('"', '\\"')
    action = "" if not when else ' == Action::"crm.refund"'
    condition = f" when {{ {when} }}" if when else ""
    return (
        f'@id("{name}") @reason("the reason of {name}") @oblige("{escaped}") {more}\n'
        f"forbid(principal, action{action}, resource){condition};\n"
    )


NARROW = obliging("modify:amount<=5000", when="context.arguments.amount > 5000", name="narrow")


async def bench_with(*policies: str, documents=None, **mandate) -> Bench:
    made = bench_documents("".join((PERMIT, *policies)))
    for one in made:
        (documents or (lambda document: document))(one)
    bench = await Bench().registered(made)
    await bench.issue(**mandate)
    return bench


def everything(bench: Bench) -> str:
    """Every leaf and every opened field of the log."""
    parts = []
    for stored in bench.walk.ledger.replay():
        parts += [stored.leaf.decode(), repr(bench.opened(stored.index)[1])]
    return "\n".join(parts)


def story(bench: Bench, name: str) -> str:
    lines = reconstruct_timeline(bench.walk.ledger.replay(), name, bench.walk.subject_keys.find)
    return "\n".join("\n".join((line.text, *line.details)) for line in lines)


def answers(bench: Bench, result=None, **outcome) -> None:
    bench.upstream.answer = lambda _: Outcome(**{"status": "succeeded", "result": result, **outcome})


# --- what the agent sees ---


@pytest.mark.requirement("OBL-06")
@pytest.mark.requirement("OBL-07")
async def test_a_redacted_field_reaches_neither_agent_nor_ledger_and_the_intent_says_why():
    bench = await bench_with(obliging("redact:/email"))
    customer = {"email": SECRET, "city": "Bonn", "note": f"mail {SECRET}"}
    answers(
        bench, {"content": [{"type": "text", "text": json.dumps(customer)}], "structuredContent": customer}
    )
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.result is not None
    assert answer.outcome.result["structuredContent"] == {
        "email": "[redacted]", "city": "Bonn", "note": "mail [redacted]",
    }  # fmt: skip
    assert SECRET not in json.dumps(answer.outcome.result)
    assert SECRET not in everything(bench)
    (leaf,) = bench.entries(Tag.INTENT)
    assert leaf["decision"]["obligations"] == ["redact"]
    (fields,) = fields_of(bench, Tag.INTENT)
    assert fields["obligations"] == ["redact:/email"]
    told = story(bench, answer.action_id)
    assert "on the condition of redact:/email" in told
    assert "redacted 1 values" in told


@pytest.mark.requirement("OBL-06")
@pytest.mark.parametrize(
    "outcome",
    [
        {"status": "failed", "detail": f"the upstream reports an error: `no mail to {SECRET}`"},
        {"status": "failed", "detail": f"no mail to {SECRET}"},
        {"status": "indeterminate", "detail": f"the connection to the upstream was lost: `{SECRET}`"},
        {"status": "indeterminate", "detail": f"lost: `{SECRET}"},
        {
            "status": "failed",
            "detail": f"the upstream reports an error: `{SECRET}`",
            "result": {"isError": True, "content": [{"type": "text", "text": SECRET}]},
        },
        {"result": {"content": [{"type": "resource", "resource": {"uri": "crm://x", "text": SECRET}}]}},
        {"result": {"content": [], "structuredContent": {"Email": SECRET}, "_meta": {"email": SECRET}}},
    ],
)  # fmt: skip
async def test_an_error_or_another_form_of_answer_does_not_carry_it_either(outcome):
    bench = await bench_with(obliging("redact:/email"))
    answers(bench, **outcome)
    answer = await bench.act()
    assert answer.outcome is not None
    assert SECRET not in f"{answer.outcome.detail} {json.dumps(answer.outcome.result)}"
    assert SECRET not in everything(bench)


@pytest.mark.requirement("OBL-06")
async def test_progress_carries_numbers_and_no_words():
    heard: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, text: str | None) -> None:
        heard.append((done, total, text))

    class Telling:
        def __init__(self, upstream) -> None:
            self._upstream = upstream

        def __getattr__(self, name):
            return getattr(self._upstream, name)

        async def perform(self, warrant, *, progress=None):
            await progress(1, 2, SECRET)
            return await self._upstream.perform(warrant)

    for policy, wanted in ((obliging("redact:/email"), None), (obliging("notify:privacy"), SECRET)):
        bench = await bench_with(policy)
        bench.walk.upstream = Telling(bench.upstream)
        action, caller = bench.request("get_case", {"case": "4711"})
        await govern_action(bench.walk, action, caller, progress=progress)
        assert heard[-1] == (1, 2, wanted)


@pytest.mark.requirement("OBL-06")
async def test_a_long_answer_is_looked_through_beside_the_loop_with_the_same_end():
    bench = await bench_with(obliging("redact:/rows/*/email; rows_max:/rows=900"))
    rows = [{"email": f"p{number}@example.com", "pad": "x" * 100} for number in range(1_000)]
    answers(bench, {"content": [], "structuredContent": {"rows": rows}})
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.result is not None
    shown = answer.outcome.result["structuredContent"]["rows"]
    assert len(shown) == 900
    assert "@example.com" not in json.dumps(answer.outcome.result)


@pytest.mark.requirement("OBL-06")
async def test_budgets_are_counted_by_what_the_upstream_answered_not_by_what_is_shown():
    bench = await bench_with(obliging("rows_max:/list=1"), documents=with_spending, budgets=(("rows", 100),))
    answers(bench, {"content": [], "structuredContent": {"rows": 7, "list": [1, 2, 3]}})
    await bench.act()
    (end,) = bench.entries(Tag.OUTCOME)
    assert end["returned"]["rows"] == 2


# --- what the agent gets to do ---


@pytest.mark.requirement("OBL-05")
async def test_the_narrowed_action_is_what_is_performed_recorded_and_said():
    bench = await bench_with(NARROW)
    answer = await bench.refund(9000)
    assert [effect.arguments for effect in bench.upstream.effects] == [{"case": "4711", "amount": 5000}]
    assert json.loads(answer.narrowed) == {"amount": 5000}
    (leaf,) = bench.entries(Tag.INTENT)
    assert leaf["narrowed"] == ["modify"]
    assert leaf["decision"]["lifted"] == []
    (fields,) = fields_of(bench, Tag.INTENT)
    assert fields["action"]["arguments"]["amount"] == 5000
    assert fields["asked"]["arguments"]["amount"] == 9000
    assert fields["asked_decision"] == {
        "by": ["all"], "effect": "allow", "lifted": ["narrow"], "obligations": ["modify:amount<=5000"],
    }  # fmt: skip
    assert fields["digest"] == bench.upstream.effects[0].digest
    assert bench.upstream.violations == []
    told = story(bench, answer.action_id)
    assert "asked for was amount=9000, case=4711" in told
    assert "narrowed by narrow" in told
    assert "on the condition of modify:amount<=5000" in told


@pytest.mark.requirement("OBL-05")
async def test_an_action_that_is_narrow_enough_stays_as_it_is():
    bench = await bench_with(NARROW)
    answer = await bench.refund(5000)
    assert answer.narrowed == b""
    (leaf,) = bench.entries(Tag.INTENT)
    assert "narrowed" not in leaf
    assert "asked" not in fields_of(bench, Tag.INTENT)[0]


@pytest.mark.requirement("OBL-04")
@pytest.mark.parametrize("amount", [-1_000_000, 0, 4999])
async def test_an_argument_below_the_bound_is_never_raised_to_it(amount):
    bench = await bench_with(obliging("modify:amount<=5000", when="context.arguments has amount"))
    await bench.refund(amount)
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [amount]


@pytest.mark.requirement("OBL-05")
async def test_a_second_narrowing_is_a_deny():
    again = obliging("modify:amount<=100", when="context.arguments.amount == 5000", name="again")
    bench = await bench_with(NARROW, again)
    with pytest.raises(Refused) as no:
        await bench.refund(9000)
    assert no.value.code == "obligation.second_narrowing"
    assert bench.upstream.effects == []
    assert len(bench.entries(Tag.REFUSAL)) == 1
    await bench.refund(5000)
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [100]


@pytest.mark.requirement("OBL-05")
async def test_the_narrowed_action_is_denied_where_policy_denies_it_and_the_refusal_names_both():
    final = '@id("round") @reason("nothing round") forbid(principal, action, resource) when {\n'
    final += "context.arguments has amount && context.arguments.amount == 5000 };\n"
    bench = await bench_with(NARROW, final.replace("action,", 'action == Action::"crm.refund",'))
    with pytest.raises(Refused, match="nothing round"):
        await bench.refund(9000)
    (fields,) = fields_of(bench, Tag.REFUSAL)
    assert fields["action"]["arguments"]["amount"] == 5000
    assert len(fields["asked_digest"]) == 64
    assert bench.upstream.effects == []


@pytest.mark.requirement("OBL-04")
async def test_what_cannot_be_narrowed_is_a_deny_before_anything_is_done():
    bench = await bench_with(
        obliging("modify:amount in [100,200]", when="context.arguments.amount != 100", name="few")
    )
    with pytest.raises(Refused) as no:
        await bench.refund(300)
    assert no.value.code == "obligation.unfulfillable"
    assert "300" not in no.value.message
    assert bench.upstream.effects == []
    await bench.refund(200)


@pytest.mark.requirement("OBL-12")
async def test_where_the_mandate_says_no_nothing_is_narrowed_and_nobody_is_asked():
    ask = obliging(
        "modify:amount<=5000", when="context.arguments.amount > 5000", more='@approve("approvers:1")'
    )
    at_most = Grant(capability="crm.refund", caveats=(ArgumentAtMost(name="amount", maximum=6000),))
    for grant in (at_most, Grant(capability="crm.refund", caveats=(ResourceIn(ids=("4712",)),))):
        bench = await bench_with(ask, grants=(grant,))
        with pytest.raises(Refused) as no:
            await bench.refund(9000)
        assert no.value.code.startswith("mandate.")
        assert bench.walk.channel.announced == []
        assert bench.entries(Tag.APPROVAL_ASKED) == []


@pytest.mark.requirement("OBL-12")
async def test_where_the_budget_lacks_even_the_narrowed_amount_nobody_is_asked():
    ask = obliging(
        "modify:amount<=5000", when="context.arguments.amount > 5000", more='@approve("approvers:1")'
    )
    bench = await bench_with(ask, documents=with_spending, budgets=(("money:EUR", 4000),))
    with pytest.raises(Refused) as no:
        await bench.refund(9000)
    assert no.value.code == "mandate.budget_spent"
    assert bench.walk.channel.announced == []
    bench = await bench_with(NARROW, documents=with_spending, budgets=(("money:EUR", 5000),))
    await bench.refund(9000)
    assert bench.entries(Tag.INTENT)[0]["reserved"]["money:EUR"] == 5000


@pytest.mark.requirement("OBL-03")
@pytest.mark.requirement("OBL-05")
async def test_people_approve_the_narrowed_action_and_nothing_wider_runs():
    both = obliging(
        "modify:amount<=5000", when="context.arguments.amount > 5000", more='@approve("approvers:1")'
    )
    bench = await bench_with(both)
    waiting = (await bench.refund(9000)).approval
    assert waiting is not None
    assert json.loads(waiting.action.bytes)["arguments"]["amount"] == 5000
    (leaf,) = bench.entries(Tag.APPROVAL_ASKED)
    assert leaf["narrowed"] == ["modify"]
    (fields,) = fields_of(bench, Tag.APPROVAL_ASKED)
    assert fields["asked"]["arguments"]["amount"] == 9000
    assert (await bench.refund(9000)).approval == waiting
    await bench.answer(waiting)
    answer = await bench.refund(9000)
    assert answer.outcome is not None
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [5000]
    # The approval is used up: the next one is a question again.
    assert (await bench.refund(9000)).approval is not None


@pytest.mark.requirement("OBL-05")
async def test_what_is_narrowed_is_narrowed_by_the_policies_of_that_moment():
    bench = await bench_with(NARROW)
    append = bench.walk.ledger.submit
    published: list[bool] = []

    def submit(entry):
        if entry.tag == Tag.CITED and not published:
            # While the statements are written, policy changes: nothing may be narrowed by what it was.
            published.append(True)
            less = NARROW.replace("5000", "40")
            documents = bench_documents(PERMIT + less)
            bench.walk.decision_point = bench.walk.compile_policies(
                PERMIT + less, bench.walk.registry.current
            )
            assert documents
        return append(entry)

    bench.walk.ledger.submit = submit
    await bench.refund(9000)
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [40]


# --- what cannot be lost ---


class Foreign:
    """A decision point of a later version, or of somebody else."""

    policy_set = "f" * 64

    def __init__(self, *obligations: str) -> None:
        self.obligations = obligations

    def decide(self, verified, facts) -> Decision:
        return Decision(
            effect="allow",
            reasons=(Reason(source="x", text="yes"),),
            determined_by=("x",),
            policy_set=self.policy_set,
            obligations=self.obligations,
        )

    def may_list(self, agent, capability) -> bool:
        return True


@pytest.mark.requirement("OBL-01")
@pytest.mark.parametrize(
    "obligation", ["teleport:/x", "redact:email", "Witnessed", "redact:/a,/b", "", "log:none"]
)
async def test_an_obligation_that_is_not_understood_is_a_deny(obligation):
    bench = await bench_with()
    bench.walk.decision_point = Foreign("notify:privacy", obligation)
    with pytest.raises(Refused) as no:
        await bench.act()
    assert no.value.code == "obligation.unknown"
    assert bench.upstream.effects == []
    assert bench.entries(Tag.INTENT) == []
    assert bench.entries(Tag.REFUSAL)[0]["code"] == "obligation.unknown"


@pytest.mark.requirement("OBL-02")
async def test_obligations_of_a_foreign_decision_that_conflict_are_a_deny():
    bench = await bench_with()
    bench.walk.decision_point = Foreign("log:full", "log:digest")
    with pytest.raises(Refused) as no:
        await bench.act()
    assert no.value.code == "obligation.conflict"
    assert bench.upstream.effects == []


@pytest.mark.requirement("OBL-07")
async def test_the_obligations_are_in_the_log_before_the_effect():
    bench = await bench_with(obliging("redact:/email; notify:privacy"))
    seen: list[object] = []

    async def before(effect) -> None:
        seen.append(bench.opened(effect.intent)[1]["obligations"])

    bench.upstream.before = before
    await bench.act()
    assert seen == [["redact:/email", "notify:privacy"]]


@pytest.mark.requirement("OBL-07")
async def test_an_upstream_that_breaks_off_or_a_caller_who_leaves_gets_nothing_past_them():
    bench = await bench_with(obliging("redact:/email"))

    async def boom(_effect) -> None:
        raise RuntimeError(SECRET)

    bench.upstream.after = boom
    with pytest.raises(RuntimeError):
        await bench.act()
    assert SECRET not in everything(bench)

    async def wait(_effect) -> None:
        await anyio.sleep_forever()

    bench.upstream.after = wait
    with anyio.move_on_after(0.02):
        await bench.act()
    assert len(bench.entries(Tag.INDETERMINATE)) == 2
    assert SECRET not in everything(bench)


# --- what is kept ---


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
    bench.walk.ledger = Crowded(bench.walk.ledger, code)
    with pytest.raises(Unavailable):
        await bench.act()
    bench.walk.ledger.crowded = False
    assert await settle_open_intents(bench.walk) == 1
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
        told_before.append(len(bench.walk.channel.notified))

    bench.upstream.before = before
    answer = await bench.act()
    assert told_before == [2]
    assert [one.group for one in bench.walk.channel.notified] == ["finance", "privacy"]
    notice = bench.walk.channel.notified[0]
    assert answer.intent is not None
    assert (notice.action_id, notice.intent) == (answer.action_id, answer.intent.index)
    assert notice.capability == "crm.read"
    assert fields_of(bench, Tag.INTENT)[0]["obligations"] == ["notify:privacy", "notify:finance"]


@pytest.mark.requirement("OBL-09")
async def test_a_channel_that_fails_changes_nothing_and_an_intent_that_is_not_written_tells_nobody():
    bench = await bench_with(obliging("notify:privacy"))

    def fails(_notice) -> None:
        raise ConnectionError("on purpose")

    bench.walk.channel.notify = fails
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.status == "succeeded"
    bench = await bench_with(obliging("notify:privacy"))
    await bench.act()
    submit = bench.walk.ledger.submit

    def full(entry):
        if entry.tag == Tag.INTENT:
            raise Unavailable("no room", code="ledger.full", port="ledger")
        return submit(entry)

    bench.walk.ledger.submit = full
    with pytest.raises(Unavailable):
        await bench.act()
    assert len(bench.walk.channel.notified) == 1


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
        assert bench.walk.channel.announced == []


@pytest.mark.requirement("OBL-08")
async def test_nothing_is_done_before_witnesses_have_seen_the_intent():
    bench = await bench_with(obliging("witnessed"))
    bench.walk.witness = watching = Watching()
    answer = await bench.act()
    assert answer.intent is not None
    ((index, seconds),) = watching.asked
    assert index == answer.intent.index
    assert 0 < seconds <= bench.walk.limits.intent_ttl_ms / 1000
    assert len(bench.upstream.effects) == 1
    for sees in (False, Unavailable("down", code="ledger.poisoned", port="ledger")):
        bench.walk.witness = Watching(sees)
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

    bench.walk.witness = Slow()
    with anyio.move_on_after(0.02):
        await bench.act()
    (end,) = bench.entries(Tag.OUTCOME)
    assert end["status"] == "not_started"
    assert bench.upstream.effects == []
