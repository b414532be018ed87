"""`answerable policy`: sets in directories, against documents in files and against what is registered."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from answerable.apps.cli.policy_attached import attached_lines
from answerable.apps.control_api.application import control_app
from tests.probes.typed_lines import typed
from tests.worlds.control import World, made_world, memory_product
from tests.worlds.policy_set import CORPUS, REGISTRY, SCHEMA, set_in

pytestmark = pytest.mark.requirement("SET-09")

Command = Callable[..., Result]
FILES = ("--registry", str(REGISTRY))


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = made_world(tmp_path)
    made.data.mkdir(mode=0o700)
    return made


@pytest.fixture
def command(world: World) -> Command:
    product = memory_product()

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    def run(*arguments: str | Path, code: int = 0) -> Result:
        given = [*map(str, arguments), "--data", str(world.data)]
        result = typed(offline, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return set_in(CORPUS / "sound/help-desk", tmp_path)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return set_in(next((CORPUS / "broken").glob("*-group-misspelt")), tmp_path)


def test_a_sound_set_is_checked_in_one_line(command: Command, sound: Path):
    assert command("policy", "check", sound, *FILES).stderr == "8 policies, 10 cases, no fault\n"
    told = json.loads(command("policy", "check", sound, *FILES, "--json").stdout)
    assert told == {"name": "help-desk", "policies": 8, "cases": 10, "faults": [], "untold": []}


def test_every_fault_is_a_line_with_its_place_and_code(command: Command, broken: Path):
    result = command("policy", "check", broken, *FILES, code=5)
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{broken}/rules.cedar:5: policy `pays.large` asks group `finanse`")
    assert first.endswith("did you mean `finance`? [group.undeclared]")
    assert second.startswith(f"{broken}/set.yaml:3: group `finance` is not used by any policy")
    assert result.stderr == "answerable: 2 faults\n"
    told = json.loads(command("policy", "check", broken, *FILES, "--json", code=5).stdout)
    assert [(one["file"], one["line"], one["code"]) for one in told["faults"]] == [
        ("rules.cedar", 5, "group.undeclared"),
        ("set.yaml", 3, "group.unused"),
    ]


def test_tables_are_shown_as_a_table(command: Command, sound: Path):
    result = command("policy", "test", sound, *FILES)
    assert result.stdout.splitlines()[0].split() == ["RESULT", "DECIDED", "CASE", "BY"]
    assert "ok      defer    large ones wait" in result.stdout
    assert "10 of 10 cases passed; 8 of 8 policies decide a case" in result.stderr
    told = json.loads(command("policy", "test", sound, *FILES, "--json").stdout)
    assert (told["passed"], told["failed"], told["untried"]) == (10, 0, [])
    assert told["cases"][4] == {
        "file": "tests/refunds.yaml",
        "line": 7,
        "name": "large ones wait",
        "passed": True,
        "expected": "defer",
        "got": "defer",
        "by": ["pays.large"],
        "differences": [],
    }


def test_a_case_that_comes_out_otherwise_fails_with_what_came_out(command: Command, sound: Path):
    table = sound / "tests/refunds.yaml"
    table.write_text(table.read_text().replace('approvers: ["finance:2"]', 'approvers: ["finance:3"]'))
    result = command("policy", "test", sound, *FILES, code=5)
    assert "failed  defer    large ones wait" in result.stdout
    assert "expected approvers finance:3, got finance:2" in result.stderr
    told = json.loads(command("policy", "test", sound, *FILES, "--json", code=5).stdout)
    assert told["failed"] == 1


def test_a_policy_without_a_case_fails_unless_it_may(command: Command, sound: Path):
    (sound / "tests/desk.yaml").unlink()
    result = command("policy", "test", sound, *FILES, code=5)
    assert f"{sound}/rules.cedar:2: policy `desk.reads` decides nothing in any test" in result.stderr
    command("policy", "test", sound, *FILES, "--no-coverage")
    shutil.rmtree(sound / "tests")
    assert "the set has no cases" in command("policy", "test", sound, *FILES, code=5).stderr


def test_a_set_with_faults_is_not_tested(command: Command, broken: Path):
    assert "[group.undeclared]" in command("policy", "test", broken, *FILES, code=5).stdout
    told = json.loads(command("policy", "test", broken, *FILES, "--json", code=5).stdout)
    assert (len(told["faults"]), told["cases"]) == (2, [])


def test_a_set_is_compiled_to_what_can_be_applied(command: Command, sound: Path, tmp_path: Path):
    shown = command("policy", "compile", sound).stdout
    target = tmp_path / "compiled.yaml"
    command("policy", "compile", sound, "--output", target)
    assert target.read_text() == shown
    assert yaml.safe_load(shown)["metadata"] == {"name": "help-desk"}
    command("validate", "-f", REGISTRY, "-f", target)


def test_what_yaml_cannot_hold_as_a_block_is_compiled_to_the_same_text(command: Command, sound: Path):
    (sound / "more.cedar").write_text("\t// indented, and blanks at the end   \n")
    made = yaml.safe_load(command("policy", "compile", sound).stdout)
    assert made["spec"]["policies"].startswith("\t// indented, and blanks at the end   \n")


def test_an_output_that_cannot_be_written_is_an_error(command: Command, sound: Path, tmp_path: Path):
    result = command("policy", "compile", sound, "--output", tmp_path / "none/compiled.yaml", code=1)
    assert "cannot write" in result.stderr


def test_what_is_registered_is_checked_against_without_naming_files(command: Command, sound: Path):
    command("apply", "-f", REGISTRY)
    assert command("policy", "check", sound).stderr.endswith("8 policies, 10 cases, no fault\n")
    (sound / SCHEMA).unlink()
    assert "[schema.missing]" in command("policy", "check", sound, code=5).stdout
    command("policy", "schema", "--for", sound, "--output", sound / SCHEMA)
    command("policy", "check", sound)
    command("policy", "compile", sound, "--output", sound.parent / "compiled.yaml")
    command("apply", "-f", sound.parent / "compiled.yaml")
    command("policy", "test", sound)


def test_without_a_product_the_way_without_one_is_said(command: Command, sound: Path, world: World):
    world.data.rmdir()
    result = command("policy", "check", sound, code=1)
    assert "--registry" in result.stderr
    assert "there is no data directory" in result.stderr


def test_registry_documents_that_cannot_be_read_are_an_error(command: Command, sound: Path, tmp_path: Path):
    unread = tmp_path / "registry.yaml"
    unread.write_text("a: [\n")
    assert "registry.yaml:2" in command("policy", "check", sound, "--registry", unread, code=1).stderr
    assert "is not a directory" in command("policy", "check", tmp_path / "none", *FILES, code=1).stderr


@pytest.mark.requirement("WORDS-15")
@pytest.mark.parametrize(
    ("attached", "line"),
    [
        ({}, "none: no test was run"),
        (
            {"tests": {"house": {"failed": 0, "passed": 3, "policies_untried": 1}}},
            "tests of house: 3 passed, 1 policies in none",
        ),
        (
            {"simulation": {"since": "2d", "changed": 1, "asked": 9}},
            "simulation: 1 of 9 decisions in the last 2d change",
        ),
        ({"tests": {"failed": 0, "passed": 3}}, "see --json"),
        ({"tests": [], "simulation": 7}, "see --json"),
    ],
)
def test_whatever_an_author_attached_is_told_to_who_publishes(attached, line):
    (told,) = attached_lines(attached)
    assert line in told
