"""The table of AARM's tests names tests that are there, and says why where it names none."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from reference import AARM, AARM_OUTCOMES, ROOT

pytestmark = pytest.mark.requirement("POLPROOF-08")
THEIRS = {"R1": 3, "R2": 2, "R3": 4, "R4": 3, "R5": 4, "R6": 2, "R7": 1, "R8": 1, "R9": 1}
"""How many technical tests version 1.0 has of each requirement."""


def rows() -> list[dict[str, Any]]:
    return list(tomllib.loads(AARM.read_text(encoding="utf-8"))["test"])


@cache
def functions(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_no_test_of_theirs_is_left_out():
    assert Counter(row["requirement"] for row in rows()) == THEIRS
    assert {row["level"] for row in rows() if row["requirement"] < "R7" and row["level"] != "MUST"} == {
        "SHOULD"
    }


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['requirement']}: {row['sentence'][:40]}")
def test_what_is_called_proved_has_tests_and_the_rest_has_a_reason(row: dict[str, Any]):
    assert row["outcome"] in AARM_OUTCOMES
    assert bool(row["tests"]) == (row["outcome"] != "not_here")
    assert row.get("why") or row["outcome"] == "proved"
    for name in row["tests"]:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), path
        assert function in functions(ROOT / path), name
