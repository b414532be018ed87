"""The page about asking less: what history suggests, with its evidence, and nothing that changes anything."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from answerable.apps.console import asking_less_pages
from answerable.flows.approval.suggest_rules import APPROVED_MIN, suggest_rules
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import POLICIES, bench_documents
from tests.probes.console_client import House, console_house
from tests.worlds.canary import TESTED, canary_on
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ROOM-04")]
HOSTILE = '<script>alert(1)</script>"><img src=x hx-get=/sign-out>'


def words(page: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


async def house_with(tier: int = 2, **limits: Any) -> House:
    """A console over a bench whose refunds are of this tier."""
    house = await console_house()
    documents: Any = bench_documents(POLICIES)
    for one in documents:
        if one["metadata"]["name"] == "crm.refund":
            one["spec"]["tier"] = tier
    await apply_registry(*to_apply(house.bench.walk), documents, by="operator")
    house.bench.walk.limits = house.bench.asking.limits = replace(house.bench.walk.limits, **limits)
    await house.bench.issue("m-1", calls_max=1_000, seconds=80_000)
    return house


async def approved(house: House, times: int, *, case: str = "4711", seconds: float = 30) -> None:
    """So many refunds that bob approves after some seconds, and that run."""
    for number in range(times):
        arguments: Any = {"case": case, "amount": 6_000 + number}
        asked = (await house.bench.act("refund", arguments)).approval
        assert asked is not None
        house.wait(seconds)
        await house.bench.answer(asked)
        await house.bench.act("refund", arguments)


async def test_what_was_approved_again_and_again_is_shown_with_its_evidence_and_changes_nothing() -> None:
    house = await house_with(answers_per_hour_max=1_000)
    await approved(house, APPROVED_MIN)
    client = await house.signed_in()
    before = house.bench.recorder.ledger.size, house.bench.walk.policies.decision_point.policy_set
    page = await client.page("/asking-less")
    told = words(page.text)
    assert "up to 40 questions , and 20.0 min of waiting" in told
    assert "all 40 were approved, by 1 person" in told
    assert "(context.arguments.amount &gt;= 6000 &amp;&amp; context.arguments.amount &lt;= 6039)" in told
    assert "answerable policy propose suggested/suggested-1.yaml" in told
    assert "answerable policy simulate --tier crm.refund=1 --since 30d" in told
    assert "bob" not in told, "who decided how is for who runs it"
    (first,) = re.findall(r"answerable timeline (\d+)", told)
    assert house.bench.opened(int(first))[0]["approval"]
    assert "<form" not in page.text.partition("<main")[2]
    assert (house.bench.recorder.ledger.size, house.bench.walk.policies.decision_point.policy_set) == before
    for method in ("POST", "PUT", "DELETE"):
        assert (await client.ask(method, "/asking-less")).status_code in (400, 403, 405)
    assert len(page.content) < 60_000


async def test_before_there_is_anything_the_page_teaches_the_next_command() -> None:
    house = await house_with()
    client = await house.signed_in()
    told = words((await client.page("/asking-less")).text)
    assert "answerable policy suggest --approved-min 10" in told
    assert "answerable policy simulate DIRECTORY" in told
    assert 'href="/asking-less"' in (await client.page("/deciding")).text
    assert 'href="/deciding"' in (await client.page("/")).text


async def test_what_is_not_suggested_says_why() -> None:
    house = await house_with(tier=3, answers_per_hour_max=1_000)
    await approved(house, APPROVED_MIN)
    client = await house.signed_in()
    told = words((await client.page("/asking-less")).text)
    assert "critical actions are always asked about" in told
    assert "refund-large asked 40 times" in told
    assert "Nothing was approved 40 times" in told


async def test_what_an_agent_wrote_is_text_there() -> None:
    house = await house_with(answers_per_hour_max=1_000)
    await approved(house, APPROVED_MIN, case=HOSTILE)
    client = await house.signed_in()
    page = (await client.page("/asking-less")).text
    assert "Case::" in page
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


async def test_a_test_that_is_not_over_looks_like_every_question_there() -> None:
    house = await house_with(answers_per_hour_max=1_000, canaries_per_day=TESTED.canaries_per_day)
    await approved(house, 2)
    client = await house.signed_in()
    before = words((await client.page("/asking-less")).text)
    await canary_on(house.bench)
    house.wait(60)
    after = words((await client.page("/asking-less")).text)
    assert "tier 2, 2 questions" in before
    assert "tier 2, 3 questions" in after
    assert "test" not in after.lower()


async def test_to_look_again_at_once_opens_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await house_with(answers_per_hour_max=1_000)
    await approved(house, APPROVED_MIN)
    client = await house.signed_in()
    read: list[int] = []
    entry = type(house.bench.recorder.ledger).entry

    def counted(ledger: Any, index: int) -> Any:
        read.append(index)
        return entry(ledger, index)

    monkeypatch.setattr(type(house.bench.recorder.ledger), "entry", counted)

    async def while_others_act(*given: Any, **more: Any) -> Any:
        found = await suggest_rules(*given, **more)
        await house.bench.issue("m-2")
        return replace(found, size=house.bench.recorder.ledger.size)

    monkeypatch.setattr(asking_less_pages, "suggest_rules", while_others_act)
    await client.page("/asking-less")
    assert len(read) >= APPROVED_MIN
    read.clear()
    assert "up to 40 questions" in words((await client.page("/asking-less")).text)
    assert read == []
