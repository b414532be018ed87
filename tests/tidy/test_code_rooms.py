"""`./dev house`: what it prints of the rooms is so."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

import code_rooms
from imports import KeptImports
from tests.tidy.tree import ROOT


@pytest.fixture(scope="module")
def now() -> code_rooms.House:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_rooms, "Imports", KeptImports)
        return code_rooms.House()


Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(now: code_rooms.House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """What comes of the command with some words, and what it says."""
    monkeypatch.setattr(code_rooms, "House", lambda: now)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["code_rooms.py", *words])
        code = code_rooms.main()
        said = capsys.readouterr()
        return code, said.out or said.err

    return run


@pytest.mark.requirement("HOUSE-03")
def test_every_package_of_the_product_is_a_room_and_says_what_it_is_for(now: code_rooms.House) -> None:
    sources = ROOT / "src/answerable"
    packages = {str(one.parent.relative_to(sources)) for one in sources.rglob("__init__.py")}
    assert set(now.rooms) == packages - {"."} | {code_rooms.TOP}
    assert [room for room in now.rooms if not now.purpose(room)] == []


@pytest.mark.requirement("HOUSE-03")
@pytest.mark.parametrize("inside", ["core", "flows", "core/registry"])
def test_a_room_imports_what_stands_below_it(now: code_rooms.House, inside: str) -> None:
    places = {room: place for place, room in enumerate(now.rooms)}
    rooms = [one for one in now.rooms if one.rpartition("/")[0] == inside]
    assert len(rooms) > 5
    for room in rooms:
        below = [one for one in now.imported(room) if one in rooms]
        assert [one for one in below if places[one] < places[room]] == [], room


@pytest.mark.requirement("HOUSE-03")
def test_what_it_prints_names_sizes_and_arrows(told: Told) -> None:
    code, said = told()
    assert code == 0
    lines = said.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("flows/recording "))
    folder = ROOT / "src/answerable/flows/recording"
    modules = [one for one in folder.glob("*.py") if one.name != "__init__.py"]
    size = sum(one.read_bytes().count(b"\n") for one in modules)
    assert lines[at].split()[1:3] == [str(len(modules)), str(size)]
    assert "-> core/ledger" in next(line for line in lines[at + 1 :] if "->" in line)
    assert max(map(len, lines)) <= 120


@pytest.mark.requirement("HOUSE-03")
def test_of_one_room_it_prints_modules_and_both_sides(told: Told) -> None:
    code, said = told("src/answerable/flows/recording/")
    assert code == 0
    assert "  record_entry " in said
    (importing,) = (part for part in said.split("\n\n") if "imported by: " in part)
    assert "flows/walk" in importing


@pytest.mark.requirement("HOUSE-03")
def test_a_package_that_names_are_imported_from_is_imported(now: code_rooms.House) -> None:
    assert "wiring" in now.importing("adapters/slack")
    assert "wiring" in now.importing("adapters/system")
    assert "errors" not in now.imported("core/action")


@pytest.mark.requirement("HOUSE-03")
@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["why"], "verify/denial"),
        (["Stop", "rule"], "core/containment/stop_rule_signal"),
        (["doctor"], "apps/cli/checks"),
        (["approval", "card"], "core/approval/card"),
        (["proof", "possession"], "core/identity/proof"),
        (["plug-in"], "targets"),
    ],
)
def test_words_lead_to_rooms_and_modules_that_are_about_them(
    told: Told, words: list[str], place: str
) -> None:
    code, said = told(*words)
    assert code == 0
    assert place in [line.split(" ")[0] for line in said.splitlines()]
    assert max(map(len, said.splitlines())) <= 120


@pytest.mark.requirement("HOUSE-03")
def test_a_room_that_there_is_not_is_told_with_the_nearest(told: Told) -> None:
    code, said = told("flows/counter")
    assert code == 2
    assert "did you mean flows/counters" in said
