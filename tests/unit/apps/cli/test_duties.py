"""`answerable duty` on a product in memory."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from answerable.core.canonical import parse
from answerable.sdk.keyfile import create_key
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.samples import document
from tests.probes.typed_lines import typed
from tests.worlds.control import Product
from tests.worlds.duty import duty_bench, tell, waiting

pytestmark = [pytest.mark.requirement("DUTY-08")]

Command = Callable[..., Result]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    async def made() -> Bench:
        bench = await duty_bench(bench=Bench(clock=ManualClock(time.time_ns() // 1_000_000)))
        jwk = parse(create_key(tmp_path / "bob.jwk", seed=b"b" * 32).public.jwk.encode())
        await bench.registered([document("Principal", "bob", {"groups": ["approvers"], "keys": [jwk]})])
        return bench

    return anyio.run(made)


@pytest.fixture
def command(tmp_path: Path, bench: Bench) -> Command:
    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(Product(walk=bench.walk, log_key="", published=None))

    def run(*arguments: str | Path, code: int = 0) -> Result:
        given = [*map(str, arguments), "--data", str(tmp_path)]
        result = typed(offline, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def test_who_is_on_call_is_shown_now_and_at_another_time(command: Command) -> None:
    said = command("duty", "show").output
    assert "approvers" in said
    assert "after 60 s unseen: second" in said
    (found,) = json.loads(
        command("duty", "show", "approvers", "--at", "2026-12-24T18:00+01:00", "--json").stdout
    )
    assert (found["first"], found["second"], found["covered"]) == (["bob"], ["carol"], True)
    command("duty", "show", "nobody", code=1)
    command("duty", "show", "--at", "tomorrow", code=1)
    assert "somebody of each group with a duty is on call" in command("duty", "gaps").output


def test_where_no_group_has_a_duty_no_gap_is_ruled_out_and_the_next_step_is_told(tmp_path: Path) -> None:
    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(Product(walk=Bench().walk, log_key="", published=None))

    told = " ".join(typed(offline, ["duty", "gaps", "--data", str(tmp_path)]).output.split())
    assert "no group has a duty: everybody who may answer is notified at once" in told
    assert "is on call" not in told


def test_a_gap_is_told_and_is_an_exit_code(command: Command, bench: Bench) -> None:
    spec = {"group": "approvers", "timeZone": "UTC", "shifts": [{"people": ["bob"], "days": ["mon"]}]}
    anyio.run(bench.registered, [document("Duty", "approvers", spec)])
    assert "group approvers has nobody on call" in command("duty", "gaps", "--days", "7", code=5).output
    assert json.loads(command("duty", "gaps", "--days", "7", "--json", code=5).stdout)


def test_a_question_shows_whose_turn_it_is_and_the_queue_how_long_it_takes(
    command: Command, bench: Bench
) -> None:
    async def asked() -> str:
        one = await waiting(bench)
        await tell(bench)
        return one.id

    approval = anyio.run(asked)
    said = command("duty", "route", approval).output
    assert "bob" in said
    assert "step 0 of approvers" in said
    assert "not yet" in said
    assert "none, p95 none" in command("duty", "health").output
    health = json.loads(command("duty", "health", "--days", "1", "--json").stdout)
    assert (health["asked"], health["seen"], health["waiting"]) == (1, 0, 1)
    assert {one["person"] for one in health["backlog"]} == {"alice", "bob", "carol", "erin"}


def test_a_member_hands_on_lists_and_ends(command: Command, tmp_path: Path) -> None:
    key = ("--as", "bob", "--key", tmp_path / "bob.jwk", "--reason", "away", "--yes")
    said = command("duty", "delegate", "approvers", "--to", "dan", "--until", "3d", *key)
    assert "dan stands in for bob in group approvers until" in said.output + said.stderr
    (one,) = json.loads(command("duty", "list", "--json").stdout)
    assert (one["of"], one["to"], one["counts"], one["reason"]) == ("bob", "dan", True, "away")
    assert "away" in command("duty", "list").output
    command("duty", "end", one["id"], "--yes")
    assert "there is no delegation of duty" in "".join(
        (found := command("duty", "list")).output + found.stderr
    )
    command("duty", "end", one["id"], "--yes", code=3)


@pytest.mark.requirement("WORDS-07")
def test_a_delegation_is_looked_up_by_an_id_that_begins_with_a_dash(command: Command) -> None:
    name = f"-{'kMO3' * 10}-x"
    told = command("duty", "end", name, "--yes", code=1)
    assert name in told.output + told.stderr


def test_times_that_cannot_be_meant_are_told_before_anything_is_signed(
    command: Command, bench: Bench, tmp_path: Path
) -> None:
    key = ("--as", "bob", "--key", tmp_path / "bob.jwk", "--reason", "away", "--yes")
    for until in ("tomorrow", "2026-12-27T08:00", "3w"):
        said = command("duty", "delegate", "approvers", "--to", "dan", "--until", until, *key, code=2)
        assert "time" in said.output + said.stderr
    command("duty", "delegate", "approvers", "--to", "frank", "--until", "1h", *key, code=3)
    assert not bench.asking.duties.register.delegations()


def test_whoever_applies_a_duty_with_a_gap_hears_of_it_at_once(command: Command, tmp_path: Path) -> None:
    text = """\
apiVersion: answerable/v1
kind: Duty
metadata: {name: approvers}
spec: {group: approvers, timeZone: UTC, shifts: [{people: [bob], days: [mon]}]}
"""
    (tmp_path / "duty.yaml").write_text(text)
    said = command("apply", "-f", tmp_path / "duty.yaml")
    assert "Duty approvers has nobody of `approvers` on call" in said.output + said.stderr
    (tmp_path / "duty.yaml").write_text(text.replace(", days: [mon]", ""))
    said = command("apply", "-f", tmp_path / "duty.yaml")
    assert "nobody of" not in said.output + said.stderr
