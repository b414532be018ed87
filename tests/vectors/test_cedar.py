"""Cedar's own hand-written integration tests, through both forms of the call into Cedar that the product uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cedarpy
import pytest

from answerable.adapters.cedar.engine import Engine, public_engine, raw_engine
from answerable.core.decision.decision import Evaluation

pytestmark = pytest.mark.requirement("POLICY-09")

SUITES, REQUESTS = 22, 74
ENGINES = {"raw": raw_engine, "public": public_engine}


def suites(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((root / "tests").glob("*/*.json")):
        yield path.relative_to(root).as_posix(), json.loads(path.read_text("utf-8"))


def text(root: Path, spec: dict[str, Any], what: str) -> str:
    return (root / str(spec[what])).read_text("utf-8")


def explicit_entities(root: Path, spec: dict[str, Any]) -> str:
    # The files leave to the schema which objects are references; we always write references explicitly.
    return str(cedarpy.Entities.from_json_str(text(root, spec, "entities"), text(root, spec, "schema")))


def disagreement(found: Evaluation, wanted: dict[str, Any]) -> str | None:
    """Cedar skips a policy that errs; here any error is a deny without determining policies."""
    if wanted["errors"]:
        named = all(any(f"`{name}`" in error for error in found.errors) for name in wanted["errors"])
        right = named and not found.allowed and not found.determining
    else:
        reasons = tuple(sorted(wanted["reason"]))
        right = found == Evaluation(allowed=wanted["decision"] == "allow", determining=reasons)
    return None if right else f"{wanted['description']}: {found}"


@pytest.mark.parametrize("form", ENGINES)
def test_every_request_is_answered_as_cedar_says(vector_set: Callable[[str], Path], form: str):
    root, engine = vector_set("cedar"), ENGINES[form]
    count, asked, wrong = 0, 0, []
    for name, spec in suites(root):
        count += 1
        wrong += [f"{name}: {fault}" for fault in answered(root, spec, engine)]
        asked += len(spec["requests"])
    assert not wrong
    assert (count, asked) == (SUITES, REQUESTS)


def answered(root: Path, spec: dict[str, Any], engine: Engine) -> Iterator[str]:
    evaluate = engine(cedarpy.PolicySet.from_str(text(root, spec, "policies")), explicit_entities(root, spec))
    for wanted in spec["requests"]:
        context = json.dumps(wanted["context"])
        request = {key: wanted[key] for key in ("principal", "action", "resource")}
        if (fault := disagreement(evaluate({**request, "context": context}), wanted)) is not None:
            yield fault


def test_strict_validation_judges_each_suite_as_cedar_says(vector_set: Callable[[str], Path]):
    root = vector_set("cedar")
    verdicts = [
        (
            name,
            spec["shouldValidate"],
            cedarpy.validate_policies(
                text(root, spec, "policies"), text(root, spec, "schema")
            ).validation_passed,
        )
        for name, spec in suites(root)
    ]
    assert [name for name, wanted, found in verdicts if wanted is not found] == []
    assert len(verdicts) == SUITES
