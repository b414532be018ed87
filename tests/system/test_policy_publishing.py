"""`answerable policy propose`, `publish` and `rollback`, on registers and a ledger on disk."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from answerable.apps.control_api.application import control_app
from answerable.wiring.setting_tree import Settings
from tests.probes.typed_lines import typed
from tests.worlds.control import REGISTRY, World, made_world, offline_control, opened
from tests.worlds.policy_set import CORPUS, set_in

pytestmark = [pytest.mark.requirement("PUB-03")]

Command = Callable[..., Result]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = made_world(tmp_path)
    made.data.mkdir(mode=0o700)
    (made.data / "answerable.toml").write_text('[policy]\npublishers = "support-leads"\n')
    documents = [one for one in yaml.safe_load_all(REGISTRY) if one["kind"] != "PolicySet"]
    (made.registry / "registry.yaml").write_text(yaml.safe_dump_all(documents))
    return made


@pytest.fixture
def command(world: World) -> Command:
    return partial(run, world, offline_control)


@asynccontextmanager
async def without_index(settings: Settings) -> AsyncIterator[Any]:
    """As a server with `search.enabled` off."""
    async with opened(settings) as product:
        yield control_app(product)


def run(world: World, control: Any, *arguments: str | Path, code: int = 0) -> Result:
    given = [*map(str, arguments), "--data", str(world.data)]
    result = typed(control, given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def policies(world: World, text: str) -> Path:
    """A file with the policy set `main`."""
    document = next(one for one in yaml.safe_load_all(REGISTRY) if one["kind"] == "PolicySet")
    document["spec"]["policies"] = text
    file = world.root / "main.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


PERMIT = '@id("on-task") permit(principal, action, resource);\n'
STOP = PERMIT + '@id("stop") forbid(principal, action, resource);\n'


def signing(world: World, person: str) -> tuple[str, ...]:
    return ("--as", person, "--key", str(world.key(person)))


def proposed(command: Command, world: World, text: str, person: str = "ada") -> str:
    told = command(
        "policy",
        "propose",
        policies(world, text),
        *signing(world, person),
        "--since",
        "none",
        "--yes",
        "--json",
        code=4,
    )
    return str(json.loads(told.stdout)["id"])


def in_force(command: Command) -> dict[str, object]:
    return dict(json.loads(command("policy", "status", "--json").stdout))


def test_two_people_put_a_set_into_force_and_one_takes_it_back(command: Command, world: World):
    command("apply", world.registry, "--yes")
    applied = command("apply", policies(world, PERMIT), code=3)
    assert "a policy set needs two people" in applied.stderr
    command("policy", "publish", proposed(command, world, PERMIT), *signing(world, "bela"), "--yes")
    first = in_force(command)
    assert (first["sets"], first["publishers"]) == (["main"], "support-leads")
    waiting = proposed(command, world, STOP)
    assert waiting in command("policy", "proposals").stdout
    shown = command("policy", "show", waiting).stdout
    for told in ("ada", '@id("stop")', "no test was run"):
        assert told in shown
    own = command("policy", "publish", waiting, *signing(world, "ada"), "--yes", code=3)
    assert "another person must publish it" in own.stderr
    assert in_force(command) == {**first, "proposals": 1}
    published = command("policy", "publish", waiting, *signing(world, "bela"), "--yes")
    assert "published: every decision from now on is made with it" in published.stderr
    assert in_force(command)["documents"] != first["documents"]
    back = command("policy", "rollback", *signing(world, "chen"), "--yes")
    assert f"back at {str(first['documents'])[:16]}" in back.stderr
    assert in_force(command)["documents"] == first["documents"]
    listed = json.loads(command("policy", "history", "--json").stdout)
    assert len(listed) == 2
    assert str(listed[0]["digest"])[:16] in command("policy", "history").stdout
    command("policy", "rollback", listed[0]["digest"][:12], *signing(world, "chen"), "--yes")
    assert in_force(command)["documents"] == listed[0]["digest"]


def test_a_directory_is_checked_and_tested_before_it_is_proposed(
    command: Command, world: World, tmp_path: Path
):
    command("apply", world.registry, "--yes")
    broken = set_in(next((CORPUS / "broken").glob("*-group-misspelt")), tmp_path)
    refused = command("policy", "propose", broken, *signing(world, "ada"), "--yes", code=1)
    assert "`answerable policy check" in refused.stderr
    assert command("policy", "proposals").stderr.endswith("nothing is proposed\n")


def own_set(world: World, *, expect: str = "allow") -> Path:
    """A set in a directory for the registry of this world."""
    place = world.root / "house"
    (place / "tests").mkdir(parents=True, exist_ok=True)
    (place / "set.yaml").write_text("name: house\n")
    (place / "rules.cedar").write_text(
        '@id("reads")\n@reason("support reads cases")\n'
        'permit(principal in UseCase::"support", action in Action::"read", resource is Case);\n'
    )
    case = {
        "name": "reads",
        "given": {"agent": "support-agent", "capability": "crm.read", "arguments": {"case": "4711"}},
        "expect": expect,
    }
    (place / "tests" / "cases.yaml").write_text(yaml.safe_dump({"cases": [case]}))
    return place


def test_how_the_tests_of_a_directory_went_goes_with_the_proposal(command: Command, world: World):
    command("apply", world.registry, "--yes")
    place = own_set(world)
    command("policy", "schema", "--for", place, "-o", place / "schema.cedarschema")
    made = command("policy", "propose", place, *signing(world, "ada"), "--yes", "--json", code=4)
    attached = json.loads(made.stdout)["attached"]
    assert attached["tests"] == {"house": {"failed": 0, "passed": 1, "policies_untried": 0}}
    assert (attached["simulation"]["since"], attached["simulation"]["asked"]) == ("7d", 0)
    assert "tests of house: 1 passed" in command("policy", "show", json.loads(made.stdout)["id"]).stdout
    own_set(world, expect="deny")
    red = command("policy", "propose", place, *signing(world, "ada"), "--yes", code=1)
    assert "1 tests of" in red.stderr


def test_where_no_index_can_simulate_it_a_proposal_needs_a_word_for_that(command: Command, world: World):
    command("apply", world.registry, "--yes")
    given = ("policy", "propose", policies(world, PERMIT), *signing(world, "ada"), "--yes")
    asked = run(world, without_index, *given, code=1).stderr
    assert "`search.enabled`" in asked
    assert "`--since none` proposes without a simulation" in asked
    assert "nothing is proposed" in command("policy", "proposals").output
    run(world, without_index, *given, "--since", "none", code=4)


def test_what_is_not_confirmed_is_not_signed_and_what_is_withdrawn_is_gone(command: Command, world: World):
    command("apply", world.registry, "--yes")
    file = policies(world, PERMIT)
    asks = "add --yes"
    assert asks in command("policy", "propose", file, *signing(world, "ada"), code=1).stderr
    waiting = proposed(command, world, PERMIT)
    assert asks in command("policy", "publish", waiting, *signing(world, "bela"), code=1).stderr
    assert asks in command("policy", "withdraw", waiting, code=1).stderr
    command("policy", "withdraw", waiting, "--yes")
    gone = command("policy", "publish", waiting, *signing(world, "bela"), "--yes", code=1)
    assert "no proposal" in gone.stderr


def test_that_one_person_is_enough_is_said_wherever_it_is_so(command: Command, world: World):
    (world.data / "answerable.toml").unlink()
    command("apply", world.registry, "--yes")
    command("apply", policies(world, PERMIT))
    assert "one person can change policies here" in command("policy", "status").stderr
    assert "one person can change policies here" in command("status").stdout


def test_names_of_files_and_sets_that_are_none_are_told(command: Command, world: World):
    command("apply", world.registry, "--yes")
    nothing = command("policy", "propose", *signing(world, "ada"), "--yes", code=3)
    assert "already in force" in nothing.stderr
    none = command("policy", "propose", "--remove", "none", *signing(world, "ada"), "--yes", code=1)
    assert "there is no `PolicySet/none` to remove" in none.stderr
