"""`answerable stats` on a product in memory: tables, JSON, baselines and the differences to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import Result

from answerable.apps.cli.stats import length, share
from answerable.apps.control_api.application import control_app
from answerable.errors import Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import POLICIES, Bench, bench_documents
from tests.probes.typed_lines import typed
from tests.worlds.control import Product
from tests.worlds.figures import ready
from tests.worlds.parts import to_apply

Command = Callable[..., Result]
LARGE_ALONE = POLICIES.replace("amount > 5000", "amount > 9000")


class House:
    """A bench and the command line over it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bench: Bench = anyio.run(ready)

    def does(self, work: Callable[[Bench], Any]) -> None:
        anyio.run(work, self.bench)

    def run(self, *arguments: str | Path, code: int = 0) -> Result:
        @asynccontextmanager
        async def offline(_: Any) -> AsyncIterator[Any]:
            product = Product(walk=self.bench.walk, log_key="", published=None)
            yield control_app(product)

        given = ["stats", *map(str, arguments), "--data", str(self.directory)]
        if "--since" not in given:
            given += ["--since", "all"]
        result = typed(offline, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def told(self, *arguments: str | Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json").stdout)
        return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def a_day(bench: Bench) -> None:
    """Three reads, a small refund, a large one that a person agrees to, and one that nobody gets."""
    for _ in range(3):
        await bench.act()
    await bench.refund(100)
    asked = await bench.refund(6_000)
    bench.clock.advance(90)
    assert asked.approval is not None
    await bench.answer(asked.approval)
    await bench.refund(6_000)
    with suppress(Refused):
        await bench.refund(2_000_000)


def group(found: dict[str, Any], tier: str) -> dict[str, Any]:
    (one,) = [row for row in found["groups"] if (row["tier"], row["use_case"]) == (tier, "support")]
    return dict(one)


@pytest.mark.requirement("STAT-01")
def test_the_answer_has_every_share_and_every_wait(house: House) -> None:
    house.does(a_day)
    found = house.told()
    pay = group(found, "3")
    assert (pay["actions"], pay["alone"], pay["asked"], pay["refused"]) == (3, 1, 1, 1)
    assert pay["wait_ms"] == {"count": 1, "p50": 90_000, "p95": 90_000, "exact": True}
    assert (pay["effects"], pay["traced"], pay["untraced"]) == (2, 2, 0)
    assert found["use_cases"] == [{"use_case": "support", "tasks": 1, "questions": 1}]
    assert found["policy_set"] == house.bench.walk.policies.decision_point.policy_set
    assert found["logs"][0]["entries"] == found["logs"][0]["size"] == house.bench.recorder.ledger.size
    assert found["logs"][0]["decisions"]["count"] == sum(found["logs"][0]["decisions"]["counts"])


@pytest.mark.requirement("STAT-01")
def test_people_read_shares_waits_and_questions_per_task(house: House) -> None:
    house.does(a_day)
    said = house.run().stdout
    lines = [line.split() for line in said.splitlines()]
    pay = next(line for line in lines if line[:2] == ["3", "support"])
    assert " ".join(pay).startswith("3 support 3 33.3 % 33.3 % 33.3 % 1.5 min 1.5 min 0 2 100.0 %")
    assert "100.0 % of a sample of 5 of 5 effects" in said
    assert "1.00" in next(line for line in said.splitlines() if line.startswith("support"))


@pytest.mark.requirement("STAT-04")
def test_where_nothing_happened_it_says_that_there_is_no_data(house: House) -> None:
    result = house.run()
    assert "no actions: no data" in result.stderr
    assert "no data of a sample of 0 of 0 effects" in result.stdout
    assert "%" not in result.stdout.replace("no data of", "")
    found = house.told()
    assert found["logs"][0]["decisions"] is None
    assert all(one["wait_ms"] is None and one["trace_us"] is None for one in found["groups"])


@pytest.mark.requirement("STAT-04")
@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 0, "no data"),
        (0, 7, "0.0 %"),
        (7, 7, "100.0 %"),
        (1, 3, "33.3 %"),
        (1, 10_000, "<0.1 %"),
        (9_999, 10_000, ">99.9 %"),
        (999, 1_000, "99.9 %"),
    ],
)
def test_a_share_is_rounded_neither_to_nothing_nor_to_all(part: int, whole: int, told: str) -> None:
    assert share(part, whole) == told


@pytest.mark.requirement("STAT-04")
@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (None, "no data"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_500, "1.5 s"),
        (90_000, "1.5 min"),
        (5_400_000, "1.5 h"),
    ],
)
def test_a_time_is_told_as_people_say_it(milliseconds: int | None, told: str) -> None:
    assert length(milliseconds) == told


@pytest.mark.requirement("STAT-08")
def test_a_baseline_tells_what_a_change_of_policy_did(house: House, tmp_path: Path) -> None:
    house.does(a_day)
    baseline = tmp_path / "before.json"
    house.run("--save", baseline)
    before = house.bench.walk.policies.decision_point.policy_set

    async def changed(bench: Bench) -> None:
        await apply_registry(*to_apply(bench.walk), bench_documents(LARGE_ALONE), by="operator")
        for amount in (6_000, 7_000, 8_000):
            await bench.refund(amount)

    house.does(changed)
    found = house.told("--against", baseline)
    rows = {(one["tier"], one["what"]): one for one in found["against"]}
    alone = rows["3", "alone"]
    assert round(alone["then"], 1) == 33.3
    assert round(alone["now"], 1) == 66.7
    assert rows["1", "alone"]["then"] == rows["1", "alone"]["now"] == 100
    assert rows["", "questions per task"]["now"] == 1.0
    assert json.loads(baseline.read_text())["stats"]["policy_set"] == before != found["policy_set"]
    said = house.run("--against", baseline)
    assert f"policy set {before} then, {found['policy_set']} now" in said.stdout
    assert "+33.3 points" in said.stdout
    assert "more than one policy set: changes in this period: 1" in said.stderr
    assert "others are unchanged" in said.stderr


@pytest.mark.requirement("STAT-04")
def test_beside_a_baseline_without_data_the_difference_is_no_data(house: House, tmp_path: Path) -> None:
    baseline = tmp_path / "empty.json"
    house.run("--save", baseline)
    house.does(a_day)
    said = house.run("--against", baseline).stdout
    rows = [line for line in said.splitlines() if line.rstrip().endswith("no data") and "support" in line]
    assert len(rows) == 8
    assert all(" no data " in row for row in rows)
    assert "same policy set" in house.run("--against", baseline).stderr
    assert "more than one" not in house.run().stderr


@pytest.mark.requirement("STAT-08")
def test_where_nothing_differs_it_says_so(house: House, tmp_path: Path) -> None:
    house.does(a_day)
    baseline = tmp_path / "now.json"
    house.run("--save", baseline)
    assert "nothing differs" in house.run("--against", baseline).stderr


@pytest.mark.requirement("STAT-08")
def test_a_baseline_is_never_written_over(house: House, tmp_path: Path) -> None:
    baseline = tmp_path / "before.json"
    baseline.write_text("mine")
    result = house.run("--save", baseline, code=1)
    assert "is not overwritten" in result.stderr
    assert baseline.read_text() == "mine"
    assert "cannot be written" in house.run("--save", tmp_path / "no" / "where.json", code=1).stderr


@pytest.mark.requirement("STAT-08")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"kind": "answerable/stats", "version": 1, "stats": {}}',
        b'{"kind": "answerable/stats", "version": 2, "stats": {}}',
        b"[" * 100_000,
        b" " * 9_000_000,
    ],
    ids=["empty", "list", "bytes", "no figures", "another version", "deep", "long"],
)
def test_what_is_no_baseline_is_refused(house: House, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    assert "is not a baseline" in house.run("--against", path, code=1).stderr
    path.unlink()
    assert "cannot be read" in house.run("--against", path, code=1).stderr


@pytest.mark.requirement("STAT-08")
def test_a_file_of_another_version_that_is_whole_is_refused_too(house: House, tmp_path: Path) -> None:
    baseline = tmp_path / "before.json"
    house.run("--save", baseline)
    for name, value in (("version", 2), ("kind", "other")):
        spoilt = tmp_path / f"{name}.json"
        spoilt.write_text(json.dumps({**json.loads(baseline.read_text()), name: value}))
        assert "is not a baseline" in house.run("--against", spoilt, code=1).stderr


@pytest.mark.requirement("STAT-08")
def test_a_time_that_is_none_is_refused(house: House) -> None:
    assert "not a duration" in house.run("--since", "yesterday", code=2).stderr


@pytest.mark.requirement("STAT-08")
def test_the_answer_is_what_the_document_of_the_api_says(house: House) -> None:
    import jsonschema_rs

    from answerable.apps.control_api.openapi import schemas

    house.does(a_day)
    schema = {**schemas()["Stats"], "components": {"schemas": schemas()}}
    jsonschema_rs.validate(schema, house.told())
