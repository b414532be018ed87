"""`answerable approval figures` on a product in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from answerable.apps.control_api.application import control_app
from answerable.testing.builders import Bench
from tests.probes.typed_lines import typed
from tests.worlds.control import Product
from tests.worlds.figures import ready


async def asked_thrice(bench: Bench) -> None:
    """Two yes, one no, and one that nobody has answered yet."""
    for number, verdict in enumerate(("approve", "approve", "deny")):
        asked = await bench.refund(6_000 + number)
        bench.clock.advance(2)
        assert asked.approval is not None
        await bench.answer(asked.approval, verdict=verdict)
    await bench.refund(7_000)


@pytest.fixture
def bench() -> Bench:
    return anyio.run(ready)


def told(bench: Bench, directory: Path, *arguments: str) -> str:
    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(Product(walk=bench.walk, log_key="", published=None))

    result = typed(offline, ["approval", "figures", "--since", "all", *arguments, "--data", str(directory)])
    assert result.exit_code == 0, result.output
    return result.stdout + ("" if "--json" in arguments else result.stderr)


@pytest.mark.requirement("OVERSIGHT-01")
def test_each_of_approver_rule_group_and_tier_is_told_with_what_it_is_a_share_of(bench, tmp_path) -> None:
    anyio.run(asked_thrice, bench)
    by_person = next(one for one in told(bench, tmp_path).splitlines() if one.startswith("bob"))
    assert " ".join(by_person.split()) == "bob 3 66.7 % 2.0 s 2.0 s 100.0 % 0 ms 3 0 of 0 no data"
    by_rule = told(bench, tmp_path, "--by", "rule")
    assert "refund-large 4 66.7 % 2.0 s 1 0 0 of 0 no data" in " ".join(by_rule.split())
    assert "may not be needed" not in by_rule
    assert "approvers 4 66.7 %" in " ".join(told(bench, tmp_path, "--by", "group").split())
    by_tier = " ".join(told(bench, tmp_path, "--by", "tier").split())
    assert "3 4 0.0 % 4 2.0 s 2.0 s 4.00" in by_tier


@pytest.mark.requirement("OVERSIGHT-01")
def test_programs_get_counts_and_the_entries_they_are_made_of(bench, tmp_path) -> None:
    anyio.run(asked_thrice, bench)
    found = json.loads(told(bench, tmp_path, "--json"))
    (bob,) = found["approvers"]
    assert (bob["name"], bob["answered"], bob["fast"], bob["verdict"]) == ("bob", 3, 3, "no_data")
    assert all(bench.opened(index)[1]["person"] == "bob" for index in bob["entries"])
    assert (found["log"], found["entries"]) == (bench.recorder.ledger.origin, found["size"])


@pytest.mark.requirement("OVERSIGHT-02")
def test_where_nothing_was_asked_it_says_that_there_is_no_data(bench, tmp_path) -> None:
    said = told(bench, tmp_path)
    assert "no answers: no data" in said
    assert "no data of 0 answered" in said
