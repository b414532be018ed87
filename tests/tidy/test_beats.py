"""Loops that look once in a while wake together: none rests by a time of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from answerable.flows.recording.rounds import BEAT_SECONDS
from tests.tidy.answers import answers
from tests.tidy.tree import Module, parsed

pytestmark = pytest.mark.requirement("HOUSE-39")
ROOMS = ("flows", "wiring")
LONG_SECONDS = 60.0
"""Who rests longer wakes too seldom to matter."""
NOT_ROUNDS = {"src/answerable/flows/workloads/watch_clock.py"}
"""Its sleep is the caller's: the clock that it watches."""


def rests(module: Module) -> Iterator[tuple[float, str]]:
    """Rests that keep a beat of their own: how long, and where, by the constant that says so."""
    long = {
        one.target.id: float(one.value.value)
        for one in module.tree.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        if isinstance(one.value, ast.Constant) and isinstance(one.value.value, int | float)
    }
    for one in module.nodes if long else ():
        if isinstance(one, ast.Call) and _last_name(one.func) in ("sleep", "heard"):
            for given in [*one.args, *(named.value for named in one.keywords)]:
                if isinstance(given, ast.Name) and given.id in long:
                    yield long[given.id], f"{module.path}: {ast.unparse(one)}"


def _last_name(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def apart(module: Module) -> list[str]:
    """Those of a second to a minute."""
    return long_enough([*rests(module)])


def long_enough(found: list[tuple[float, str]]) -> list[str]:
    return [place for seconds, place in found if BEAT_SECONDS <= seconds <= LONG_SECONDS]


def test_no_loop_that_rests_for_a_second_keeps_a_beat_of_its_own() -> None:
    there = answers(rests, *(f"src/answerable/{one}" for one in ROOMS))
    assert len(there) > 300
    assert [
        one for path, found in there.items() if path not in NOT_ROUNDS for one in long_enough(found)
    ] == []


def test_a_beat_of_its_own_is_found() -> None:
    text = "LOOK_SECONDS: Final = 1.0\nasync def look():\n    await anyio.sleep(LOOK_SECONDS)\n"
    path = "src/answerable/flows/look.py"
    assert apart(parsed(path, text)) == [f"{path}: anyio.sleep(LOOK_SECONDS)"]
    assert apart(parsed(path, text.replace("(LOOK_SECONDS)", "(until_round(LOOK_SECONDS))"))) == []
