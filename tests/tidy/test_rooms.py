"""Where code is. That a room imports only those below it is an import contract (`pyproject.toml`)."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.tidy.tree import imports, modules

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
    place = f"answerable.{house.replace('/', '.')}"
    (ladder,) = (one for one in contracts() if one.get("containers") == [place])
    assert ladder["exhaustive"]
    assert not ladder.get("ignore_imports")
    assert sorted(ladder["layers"]) == [room.name for room in rooms(house)]


def contracts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project()["tool"]["importlinter"]["contracts"]
    return found


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.requirement("TARGET-13")
def test_an_import_contract_keeps_every_kind_of_target_to_the_public_face() -> None:
    places = project()["project"]["entry-points"]["answerable.targets"].values()
    packages = [place.removesuffix(".kind:KIND") for place in places]
    assert all(one.rpartition(".")[0] == "answerable.adapters" for one in packages)
    (kept,) = (one for one in contracts() if one["name"] == "targets know the public face only")
    assert sorted(kept["source_modules"]) == sorted([*packages, "answerable.targets"])
    assert {"answerable.apps", "answerable.flows", "answerable.wiring"} < {*kept["forbidden_modules"]}
    (apart,) = (one for one in contracts() if one["type"] == "independence" and "adapters" in one["name"])
    assert apart["modules"] == ["answerable.adapters.*"]
    assert not any("ignore_imports" in one for one in (kept, apart))
    # A contract counts every import, in functions and for types too, but none by a name that is made at run time.
    late = [
        module.path
        for package in kept["source_modules"]
        for module in modules(f"src/{package.replace('.', '/')}")
        if any(name.partition(".")[0] in ("importlib", "runpy", "pkgutil") for name, _ in imports(module))
        or any(isinstance(node, ast.Name) and node.id == "__import__" for node in module.nodes)
    ]
    assert late == []


@pytest.mark.requirement("HOUSE-02")
def test_what_tests_build_on_is_in_its_rooms() -> None:
    assert [one.name for one in (ROOT / "tests").glob("*.py")] == ["conftest.py"]
    for room in ("worlds", "stand_ins", "probes"):
        assert not list((ROOT / "tests" / room).rglob("test_*.py"))


@pytest.mark.requirement("HOUSE-02")
def test_no_file_is_named_after_a_review() -> None:
    named = [one for one in (ROOT / "tests").rglob("*.py") if re.search(r"review_?\d", one.name)]
    assert named == []
