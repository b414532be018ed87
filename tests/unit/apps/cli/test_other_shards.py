"""What is asked of one log at a time, on the command line: every shard is asked, or those that are not are named."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from answerable.errors import Malformed
from answerable.flows.registry.apply_registry import apply_registry
from answerable.ports.search_process import REPLAY, ReplayQuestion
from answerable.testing.builders import Bench
from tests.probes.typed_lines import typed
from tests.worlds.control import Product
from tests.worlds.logs_at_hand import JoinedSearches, LogAtHand, joined
from tests.worlds.parts import to_apply
from tests.worlds.publication import STOP, house
from tests.worlds.rule import denied

pytestmark = [pytest.mark.requirement("SEARCH-14")]

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """At shard a, in which one action ran; two ran in b, which has no server."""
    made: list[Bench] = []

    async def benches() -> list[Bench]:
        for count in (1, 2)[len(made) :]:
            bench = await Bench().registered()
            await bench.issue()
            for _ in range(count):
                await bench.act()
            await apply_registry(*to_apply(bench.walk), [denied(3, dryRun=True)], by="operator")
            made.append(bench)
        return made

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        a, b = await benches()
        searches: Any = JoinedSearches(a=LogAtHand(a.recorder), b=LogAtHand(b.recorder))
        yield control_app(Product(walk=a.walk, log_key="", published=None, searches=searches))

    def run(*arguments: str | Path, code: int = 0) -> Result:
        result = typed(offline, [*map(str, arguments), "--data", str(tmp_path)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.mark.requirement("PUB-07")
def test_a_simulation_counts_what_every_shard_recorded(command: Command, tmp_path: Path):
    candidate = tmp_path / "candidate.yaml"
    candidate.write_text(yaml.safe_dump(house(STOP)))
    found = json.loads(command("policy", "simulate", candidate, "--since", "all", "--json").stdout)
    assert (found["asked"], found["changed"], found["changes"]) == (3, 3, {"allow→deny": 3})
    assert [one["shard"] for one in found["differences"]] == ["", "b", "b"]
    shown = command("policy", "simulate", candidate, "--since", "all")
    assert f"b/{found['differences'][1]['index']}" in shown.stdout
    assert "3 of 3 decisions" in shown.stderr + shown.stdout


def test_all_decisions_are_those_of_every_shard_and_a_range_is_one_of_a_log(command: Command):
    found = json.loads(command("decision", "replay", "--all", "--json").stdout)
    assert (found["counts"], found["next"], found["left"]) == ({"same": 3}, None, [])
    part = command("decision", "replay", "--all", "--from", "0")
    assert part.stdout.split() == ["same", "1"]
    assert "of this shard alone, without all of b" in part.stderr
    assert json.loads(command("decision", "replay", "--all", "--from", "0", "--json").stdout)["left"] == ["b"]


@pytest.mark.parametrize("words", [("why",), ("decision", "replay")], ids=" ".join)
def test_an_entry_of_a_shard_that_there_is_not_says_which_there_are(
    command: Command, tmp_path: Path, words: tuple[str, ...]
):
    def said(name: str) -> str:
        return " ".join(command(*words, name, code=1).stderr.split())

    assert "there is no shard `b` beside this one; the ledger is one log: give the index alone" in said("b/3")
    for name in "ab":
        (tmp_path / "ledger" / "shards" / name).mkdir(parents=True)
    assert "there is no shard `c` beside this one; the shards are a, b" in said("entry:c/3")


def test_a_rule_that_is_tried_here_says_where_else_it_would_count(command: Command):
    assert "of this shard alone: ask b too" in command("stop-rule", "simulate", "denials").stderr
    assert json.loads(command("stop-rule", "simulate", "denials", "--json").stdout)["others"] == ["b"]


async def _recorders() -> tuple[Bench, Bench]:
    return await Bench().registered(), await Bench().registered()


@pytest.mark.anyio
async def test_a_log_that_is_none_beside_this_one_is_refused():
    a, b = await _recorders()
    index = joined("a", a=LogAtHand(a.recorder), b=LogAtHand(b.recorder))
    assert index.ask(REPLAY, ReplayQuestion(start=0, stop=None, limit=9)).others == ("b",)
    assert index.ask(REPLAY, ReplayQuestion(start=0, stop=None, limit=9, log="b")).others == ()
    with pytest.raises(Malformed) as refused:
        index.ask(REPLAY, ReplayQuestion(start=0, stop=None, limit=9, log="c"))
    assert refused.value.code == "search.log"


@pytest.mark.requirement("SHOW-02")
def test_ledger_show_takes_an_entry_as_other_commands_write_it(command: Command) -> None:
    shown = command("ledger", "show", "1").stdout
    assert "leaf hash" in shown
    assert {command("ledger", "show", name).stdout for name in ("#1", "entry:1", "entry:#1")} == {shown}
    for name, why in (
        ("nothing", "'nothing' names no entry: give its index"),
        ("052", "'052' names no entry"),
        ("c/1", "there is no shard 'c'"),
    ):
        told = command("ledger", "show", name, code=1)
        assert why in told.stderr.replace("`", "'"), told.stderr
