"""Whoever wants to see more of an answer than was allowed, or to get past an obligation: agent, tool, version."""

from __future__ import annotations

import json

import anyio
import pytest

from answerable.core.decision.decision import Decision, Reason
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import with_spending
from tests.worlds.obligation import SECRET, answers, bench_with, everything, obliging, story
from tests.worlds.parts import to_govern
from tests.worlds.walk import fields_of

pytestmark = pytest.mark.anyio


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
    assert "redacted 1 value" in told


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
        bench.walk.verification.upstream = Telling(bench.upstream)
        action, caller = bench.request("get_case", {"case": "4711"})
        await govern_action(*to_govern(bench.walk), action, caller, progress=progress)
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


class Foreign:
    """A decision point of a later version, or of somebody else."""

    policy_set = "f" * 64
    policy_statement = b"{}"

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

    def for_registry(self, snapshot) -> None:
        return None

    def may_list(self, agent, capability) -> bool:
        return True


@pytest.mark.requirement("OBL-01")
@pytest.mark.parametrize(
    "obligation", ["teleport:/x", "redact:email", "Witnessed", "redact:/a,/b", "", "log:none"]
)
async def test_an_obligation_that_is_not_understood_is_a_deny(obligation):
    bench = await bench_with()
    bench.walk.policies.decision_point = Foreign("notify:privacy", obligation)
    with pytest.raises(Refused) as no:
        await bench.act()
    assert no.value.code == "obligation.unknown"
    assert bench.upstream.effects == []
    assert bench.entries(Tag.INTENT) == []
    assert bench.entries(Tag.REFUSAL)[0]["code"] == "obligation.unknown"


@pytest.mark.requirement("OBL-02")
async def test_obligations_of_a_foreign_decision_that_conflict_are_a_deny():
    bench = await bench_with()
    bench.walk.policies.decision_point = Foreign("log:full", "log:digest")
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
