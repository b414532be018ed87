"""Where code is. That a room imports only those below it is an import contract (`pyproject.toml`)."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src/answerable"
HOUSES = ("flows", "core/registry", "core/identity")
FLOWS_MAX = 25


def rooms(house: str) -> list[Path]:
    """Folders that hold modules."""
    return sorted(one.parent for one in (SOURCES / house).glob("*/__init__.py"))


@pytest.mark.requirement("HOUSE-01")
@pytest.mark.parametrize("house", HOUSES)
def test_every_module_is_in_a_room_that_says_what_it_is_for(house: str) -> None:
    assert [one.name for one in (SOURCES / house).glob("*.py")] == ["__init__.py"]
    assert len(rooms(house)) > 5
    for room in rooms(house):
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))), room
        assert not [one for one in room.iterdir() if one.is_dir() and one.name != "__pycache__"], room


@pytest.mark.requirement("HOUSE-01")
def test_a_room_of_flows_is_small_enough_to_be_read() -> None:
    sizes = {room.name: len(list(room.glob("*.py"))) - 1 for room in rooms("flows")}
    assert {name: size for name, size in sizes.items() if size > FLOWS_MAX} == {}


@pytest.mark.requirement("HOUSE-01")
@pytest.mark.parametrize("house", HOUSES)
def test_an_import_contract_orders_every_room(house: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (ladder,) = (
        one
        for one in settings["tool"]["importlinter"]["contracts"]
        if one.get("containers") == [f"answerable.{house.replace('/', '.')}"]
    )
    assert ladder["exhaustive"]
    assert not ladder.get("ignore_imports")
    assert sorted(ladder["layers"]) == [room.name for room in rooms(house)]


@pytest.mark.requirement("HOUSE-02")
def test_what_tests_build_on_is_in_its_rooms() -> None:
    assert [one.name for one in (ROOT / "tests").glob("*.py")] == ["conftest.py"]
    for room in ("worlds", "stand_ins", "probes"):
        assert not list((ROOT / "tests" / room).rglob("test_*.py"))


@pytest.mark.requirement("HOUSE-02")
def test_no_file_is_named_after_a_review() -> None:
    named = [one for one in (ROOT / "tests").rglob("*.py") if re.search(r"review_?\d", one.name)]
    assert named == []
