"""Whole products that are killed while people are asked: what was asked stays, and what was allowed runs once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.ledger.tags import Tag
from tests.system.test_revocation_processes import upstream_of
from tests.worlds.shard_house import House, Shard, leaves, made_house, until

ASK = """
    @id("reading-needs-one")
    @reason("a lead sees every reading first")
    @approve("support-leads:1")
    forbid(principal, action, resource);
"""
PERMIT = "permit(principal, action, resource);\n"


@pytest.fixture
def house() -> Iterator[House]:
    with made_house() as made:
        registry = made.world.registry / "registry.yaml"
        text = registry.read_text()
        assert text.count(PERMIT) == 1
        registry.write_text(text.replace(PERMIT, PERMIT + ASK))
        made.command("a", "apply", "-f", str(made.world.registry))
        yield made


def asked(shard: Shard, mandate: str) -> str:
    """The id of the approval by which this very action waits."""

    def found() -> Any:
        return shard.call(mandate).get("result", {}).get("structuredContent", {}).get("approvalId")

    return str(until(found, "the question"))


def approve(house: House, approval: str) -> None:
    key = ("--as", "chen", "--key", str(house.world.key("chen")))
    house.command("a", "approval", "approve", approval, *key, "--yes")


def has_run(answer: dict[str, Any]) -> bool:
    return not answer.get("result", {}).get("isError", True)


def intents(house: House, shard: str = "a") -> int:
    """As published when the product stopped in order."""
    found = leaves(PublishedFiles(house.data / "ledger/shards" / shard))
    return len([leaf for leaf in found if leaf["tag"] == Tag.INTENT])


@pytest.mark.requirement("ASKING-06")
def test_a_product_that_is_killed_after_the_question_and_after_the_answer_runs_it_once(house: House) -> None:
    with house.up("a") as a:
        mandate = house.issue("a")
        waiting = asked(a, mandate)
        a.killed()
    with house.up("a") as a:
        assert asked(a, mandate) == waiting
        approve(house, waiting)
        a.killed()
    with house.up("a") as a:
        until(lambda: has_run(a.call(mandate)), "the action that was approved")
        assert asked(a, mandate) != waiting, "it was good for once"
    assert intents(house) == 1


@pytest.mark.requirement("ASKING-06")
def test_a_product_that_is_killed_in_the_act_does_not_act_again_by_the_same_answer(house: House) -> None:
    with house.up("a") as a, ThreadPoolExecutor(1) as agent:
        mandate = house.issue("a")
        waiting = asked(a, mandate)
        approve(house, waiting)
        upstream, entries = upstream_of(a), a.status()["entries"]
        os.kill(upstream, signal.SIGSTOP)
        try:
            lost = agent.submit(a.call, mandate)
            until(lambda: a.status()["entries"] > entries, "the intent")
        finally:
            a.killed()
            os.kill(upstream, signal.SIGKILL)
        with pytest.raises(httpx2.TransportError):
            lost.result()
    with house.up("a") as a:
        assert asked(a, mandate) != waiting
    assert intents(house) == 1


@pytest.mark.requirement("ASKING-06")
def test_another_gateway_goes_on_where_one_is_gone(house: House) -> None:
    with house.up("a") as a:
        mandate = house.issue("a")
        with house.up("b") as b:
            waiting = asked(b, mandate)
            b.killed()
        # The agent's next call reaches the other one, and attaches to the same question.
        assert asked(a, mandate) == waiting
        with house.up("b") as b:
            approve(house, waiting)
            until(lambda: has_run(b.call(mandate)), "the action that was approved")
            # Whoever owns the mandate is gone: nobody acts for it, and nothing is asked twice.
            again = asked(b, mandate)
            a.killed()
            assert not has_run(b.call(mandate))
            with house.up("a"):
                assert asked(b, mandate) == again
    assert intents(house) == 1
    assert intents(house, "b") == 0
