"""`answerable policy suggest` on a product in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from answerable.apps.control_api.application import control_app
from answerable.testing.builders import Bench
from tests.probes.typed_lines import typed
from tests.unit.apps.control_api.control_index import indexed
from tests.unit.flows.test_suggest_rules import approved, ready
from tests.worlds.control import Product

pytestmark = pytest.mark.requirement("OVERSIGHT-09")


async def worked() -> Bench:
    """Three refunds that were approved and ran."""
    bench = await ready()
    await approved(bench, 6_000, 6_100, 6_200)
    return bench


def suggest(bench: Bench, directory: Path, *arguments: str | Path) -> Any:
    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(indexed(Product(walk=bench.walk, log_key="", published=None)))

    given = ["policy", "suggest", "--since", "all", *map(str, arguments), "--data", str(directory)]
    result = typed(offline, given)
    assert result.exit_code == 0, result.output
    return result


def test_each_rule_comes_with_its_evidence_its_bounds_and_what_it_would_change(tmp_path: Path) -> None:
    bench = anyio.run(worked)
    said = suggest(bench, tmp_path, "--approved-min", "3").stdout
    assert "3 approved by 1 people" in said
    assert "context.arguments.amount >= 6000 && context.arguments.amount <= 6200" in said
    assert "3 defer→allow" in said
    assert "rule refund-large" in said


def test_a_saved_one_is_a_document_that_can_be_proposed(tmp_path: Path) -> None:
    bench = anyio.run(worked)
    result = suggest(bench, tmp_path, "--approved-min", "3", "--save", tmp_path / "out", "--json")
    found = json.loads(result.stdout)
    (place,) = found["saved"]
    assert yaml.safe_load(Path(place).read_text()) == found["rules"][0]["document"]


@pytest.mark.requirement("OVERSIGHT-10")
def test_why_nothing_is_suggested_is_said(tmp_path: Path) -> None:
    bench = anyio.run(worked)
    assert "no question was asked 40 times" in suggest(bench, tmp_path).stderr

    async def denied() -> None:
        asked = await bench.refund(6_300)
        assert asked.approval is not None
        await bench.answer(asked.approval, verdict="deny")

    anyio.run(denied)
    assert "not suggested: not all were approved" in suggest(bench, tmp_path, "--approved-min", "3").stdout
