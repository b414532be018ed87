"""A deputy is a person who says yes or no, nothing else: no workflow stands in, nobody breaks a glass for another."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.canonical import parse
from answerable.core.decision.facts import Requirement
from answerable.errors import Refused
from answerable.testing.samples import document, signing_key
from tests.worlds import glass as glass_world
from tests.worlds import workflow as workflow_world
from tests.worlds.duty import delegate, duty_document

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("DUTY-05")]


def clerk(name: str) -> Any:
    key = parse(signing_key(name).public.jwk.encode())
    return document("Principal", name, {"groups": ["clerks"], "keys": [key]})


async def test_a_workflow_of_a_deputy_answers_for_its_own_groups_alone():
    bench, approval = await workflow_world.waiting(600_000)
    await bench.registered([clerk("erin"), duty_document(deputies=["clerks"])])
    await delegate(bench, to="erin")
    after = await workflow_world.answered(bench, approval)
    (answer,) = after.answers
    assert (answer.groups, answer.in_place_of) == (("checks",), None)
    fact = after.fact()
    assert not fact.meets(Requirement(group="approvers", count=1))
    # And its owner, who stands in, is one with it.
    with pytest.raises(Refused) as raised:
        await bench.answer(after, by="erin")
    assert raised.value.code == "approval.answered_already"


async def test_a_workflow_and_the_deputy_of_its_owner_count_once():
    given = workflow_world.documents(workflow_world.workflow(owner="carol"))
    bench, approval = await workflow_world.waiting(60_000, given=given)
    await bench.registered([duty_document()])
    await delegate(bench, of="carol")
    assert (await workflow_world.answered(bench, approval)).state == "pending"
    with pytest.raises(Refused) as raised:
        # The workflow is carol's, and dan stands in for carol.
        await bench.answer(workflow_world.now(bench, approval), by="dan")
    assert raised.value.code == "approval.answered_already"
    after = workflow_world.now(bench, approval)
    assert (await bench.answer(after, by="bob")).state == "approved"


async def test_nobody_breaks_a_glass_in_the_place_of_another():
    bench, approval = await glass_world.waiting()
    shifts: list[Any] = [{"people": ["dan"]}]
    await bench.registered([duty_document("sales", shifts=shifts, deputies=["approvers"])])
    await delegate(bench, of="dan", to="carol", group="sales")
    with pytest.raises(Refused) as raised:
        await glass_world.broken(bench, approval, by="carol")
    assert raised.value.code == "break_glass.not_allowed"
    assert glass_world.now(bench, approval).state == "pending"
