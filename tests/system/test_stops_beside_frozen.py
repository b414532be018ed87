"""A process that stands still, of several or alone: what a stop says meanwhile, and which door is left. F-42, F-55."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.worlds.shard_house import SECONDS_MAX, House, Shard, made_house, until


@pytest.fixture
def house() -> Iterator[House]:
    with made_house() as made:
        made.without_witness()
        made.command("a", "apply", "-f", str(made.world.registry))
        yield made


@contextmanager
def frozen(shard: Shard) -> Iterator[None]:
    shard.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        shard.process.send_signal(signal.SIGCONT)


@pytest.mark.requirement("NEIGHBOUR-10")
def test_a_frozen_process_delays_no_answer_of_a_stop_and_is_named(house: House) -> None:
    with house.up("a") as a, house.up("b"), ThreadPoolExecutor(1) as agent:
        mandate = house.issue("a")
        a.acted(mandate)
        with frozen(a):
            told = json.loads(house.command("b", "stop", "support-agent", "--json").stdout)
            said = house.command("b", "stop", "support-agent").stderr
            # The action waits at its door: it is among the very first things that the process does.
            answer = agent.submit(a.no, mandate)
        assert told["new"] and told["recorded"]  # noqa: PT018
        [silent] = told["report"]["not_asked"]
        assert silent["log"].endswith("/a")
        assert "gave no answer in 2 s" in silent["why"]
        assert "/a could not be queried: its process gave no answer" in said
        assert "held" in answer.result(SECONDS_MAX)


@pytest.mark.requirement("NEIGHBOUR-11")
def test_without_an_answer_a_stop_says_what_is_not_known_and_names_another_door(house: House) -> None:
    with house.up("a") as a:
        with frozen(a):
            said = house.command("a", "stop", "support-agent", code=1).stderr
            assert "the server did not answer within 10 s: the hold may or may not be in force" in said
            assert "`answerable panic` holds everything at once" in said
            house.command("a", "panic")
        until(lambda: "everything" in house.command("a", "hold", "list").stdout, "the panic")
        # Pressed again it is held once.
        house.command("a", "stop", "support-agent")
        listed = json.loads(house.command("a", "hold", "list", "--json").stdout)
        assert [one["name"] for one in listed].count("support-agent") == 1
