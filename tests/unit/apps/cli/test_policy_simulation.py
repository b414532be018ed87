"""`answerable policy simulate` on a product in memory."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from msgspec import structs
from typer.testing import Result

from answerable.apps.cli import policy_simulation
from answerable.apps.control_api.application import control_app
from answerable.client import policy_trial_calls
from answerable.testing.builders import Bench
from answerable.testing.clock import START
from tests.probes.typed_lines import typed
from tests.unit.apps.control_api.control_index import indexed
from tests.worlds.control import Product
from tests.worlds.publication import STOP, house

pytestmark = [pytest.mark.requirement("PUB-07")]

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    made: list[Bench] = []

    async def bench() -> Bench:
        if not made:
            one = await Bench().registered()
            await one.issue()
            await one.act()
            await one.refund(6_000)
            made.append(one)
        return made[0]

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        walk = (await bench()).walk
        yield control_app(indexed(Product(walk=walk, log_key="", published=None)))

    def run(*arguments: str | Path, code: int = 0) -> Result:
        given = [*map(str, arguments), "--data", str(tmp_path)]
        result = typed(offline, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    file = tmp_path / "candidate.yaml"
    file.write_text(yaml.safe_dump(house(STOP)))
    return file


def test_what_would_change_is_listed_and_counted(command: Command, candidate: Path):
    result = command("policy", "simulate", candidate, "--since", "all")
    for told in ("crm.read", "allow→deny", "defer→deny", "all is stopped", "by stop"):
        assert told in result.stdout
    assert "2 of 2 decisions in the whole ledger would be different" in result.stderr
    few = command("policy", "simulate", candidate, "--since", "all", "--limit", "1")
    assert "and 1 more; --json lists all" in few.stderr


def test_programs_get_every_change(command: Command, candidate: Path):
    found = json.loads(command("policy", "simulate", candidate, "--since", "all", "--json").stdout)
    assert (found["asked"], found["changed"], found["partial"]) == (2, 2, False)
    assert [one["was"] for one in found["differences"]] == ["allow", "defer"]
    assert found["changes"] == {"allow→deny": 1, "defer→deny": 1}


def test_what_is_older_is_left_out(command: Command, candidate: Path, monkeypatch: pytest.MonkeyPatch):
    an_hour_later = SimpleNamespace(time_ns=lambda: (START + 3_600_000) * 1_000_000)
    monkeypatch.setattr(policy_simulation, "time", an_hour_later)
    for since, asked in (("1s", 0), ("2h", 2)):
        found = json.loads(command("policy", "simulate", candidate, "--since", since, "--json").stdout)
        assert found["asked"] == asked
    odd = command("policy", "simulate", candidate, "--since", "week", code=2)
    assert "is not a duration such as" in odd.stderr


def test_broken_off_it_says_what_it_found_and_that_it_is_not_all(
    command: Command, candidate: Path, monkeypatch: pytest.MonkeyPatch
):
    ask, pages = policy_trial_calls.simulate_policy, []

    def interrupted(control: Any, body: Any) -> Any:
        if pages:
            raise KeyboardInterrupt
        page = ask(control, body)
        pages.append(page)
        return structs.replace(page, more=True)

    monkeypatch.setattr(policy_trial_calls, "simulate_policy", interrupted)
    result = command("policy", "simulate", candidate, "--since", "all")
    assert "interrupted after" in result.stderr
    assert "this is incomplete: 2 of 2" in result.stderr


def test_differences_past_the_bound_are_counted(
    command: Command, candidate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(policy_simulation, "KEPT_MAX", 1)
    found = json.loads(command("policy", "simulate", candidate, "--since", "all", "--json").stdout)
    assert (len(found["differences"]), found["unlisted"], found["changed"]) == (1, 1, 2)


@pytest.mark.requirement("PUB-20")
def test_reasons_past_the_first_few_are_counted_together(
    command: Command, candidate: Path, monkeypatch: pytest.MonkeyPatch
):
    ask = policy_trial_calls.simulate_policy

    def many(control: Any, body: Any) -> Any:
        return structs.replace(ask(control, body), untold={f"reason {n:02}": 3 for n in range(30)})

    monkeypatch.setattr(policy_trial_calls, "simulate_policy", many)
    shown = command("policy", "simulate", candidate, "--since", "all").stdout
    assert "cannot tell: reason 19" in shown
    assert "reason 20" not in shown
    assert re.search(r"cannot tell, for 10 other reasons\s+30", shown)


@pytest.mark.requirement("PUB-09")
def test_a_set_is_put_into_the_shadow_looked_at_and_taken_out(command: Command, candidate: Path):
    assert "no policy set is in shadow mode" in command("policy", "shadow", "status", code=1).stderr
    assert "shadow mode started" in command("policy", "shadow", "start", candidate).stderr
    told = json.loads(command("policy", "shadow", "status", "--json").stdout)
    assert (told["state"], told["asked"], told["behind"]) == ("following", 0, 0)
    assert "0 of 0 decisions since" in command("policy", "shadow", "status").stderr
    assert json.loads(command("policy", "shadow", "stop", "--json").stdout)["state"] == "stopped"
    command("policy", "shadow", "stop", code=1)


@pytest.mark.requirement("PUB-09")
@pytest.mark.parametrize("verb", [("simulate",), ("shadow", "start")], ids=" ".join)
def test_a_trial_without_a_policy_set_says_what_is_wanted(
    command: Command, tmp_path: Path, verb: tuple[str, ...]
):
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.yaml").write_text(
        "apiVersion: answerable/v1\nkind: Group\nmetadata: {name: x}\nspec: {}\n"
    )
    files = [tmp_path / name for name in ("empty.yaml", "empty", "other.yaml")]
    for given in ((), ("/dev/null",), *((one,) for one in files)):
        said = " ".join(command("policy", *verb, *given, code=2).stderr.split())
        assert "name a directory with a `set.yaml`" in said, given
    command("policy", "shadow", "status", code=1)


@pytest.mark.requirement("OVERSIGHT-08")
def test_people_read_how_many_questions_there_were_and_would_be(command: Command, candidate: Path):
    said = " ".join(command("policy", "simulate", candidate, "--since", "all").stdout.split())
    assert "tier 3 1 0 -1" in said
    assert "rule refund-large 1 0 -1 group approvers 1 0 -1 all 1 0 -1 per task 1.00 0.00 -1.00" in said
    assert "per day no data no data no data" in said, "of a few milliseconds nothing is said by the day"
    found = json.loads(command("policy", "simulate", candidate, "--since", "all", "--json").stdout)
    assert (found["questions"]["before"]["count"], found["questions"]["after"]["count"]) == (1, 0)
    tried = json.loads(
        command("policy", "simulate", "--tier", "crm.read=3", "--since", "all", "--json").stdout
    )
    assert tried["questions"]["before"] == tried["questions"]["after"], "no policy here asks about tiers"


@pytest.mark.requirement("OVERSIGHT-08")
@pytest.mark.parametrize("tier", ["crm.read", "=2", "crm.read=4", "crm.read=high"])
def test_a_tier_that_is_none_is_said_before_anything_is_asked(command: Command, tier: str):
    assert "capability=2" in command("policy", "simulate", "--tier", tier, code=2).stderr
