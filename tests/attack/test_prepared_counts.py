"""What policies, budgets and people see inside what was prepared, and whoever bends it so that they see less."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.canonical import encode, parse
from answerable.errors import Refused
from answerable.flows.state.walk_limits import WalkLimits
from tests.worlds.prepared import (
    BATCH,
    LARGE,
    execute,
    executed,
    prepared,
    prepared_bench,
    refused,
    structured,
)

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("PREPARE-04")
async def test_a_text_that_two_readers_read_differently_is_not_executed_where_anything_inside_counts():
    twice = encode(BATCH).decode().replace('"currency":"EUR"', '"currency":"EUR","lines":[]', 1)
    bench, upstream = await prepared_bench({"content": [{"type": "text", "text": twice}]})
    named = await prepared(bench)
    with pytest.raises(Refused):
        await execute(bench, named)
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-05")
async def test_between_show_and_run_it_may_expire_and_nobody_is_asked_for_longer():
    bench, upstream = await prepared_bench(structured(LARGE), limits=WalkLimits(prepared_ttl_ms=60_000))
    named = await prepared(bench)
    asked = (await execute(bench, named)).approval
    assert asked.expires_at <= bench.clock.now() + 60_000
    await bench.answer(asked)
    bench.clock.advance(60)
    await refused(bench, named, "prepared.expired")
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-04")
async def test_rules_see_the_sum_that_we_make_and_every_payee():
    lines = [{**BATCH["lines"][0], "amount": 100}] * 60
    bench, upstream = await prepared_bench(structured({**BATCH, "lines": lines, "total": 1}))
    asked = (await execute(bench, await prepared(bench))).approval
    assert asked is not None, "60 times 100 is above 5000, whatever the tool calls the total"
    upstream.results = [
        structured({**BATCH, "lines": [*BATCH["lines"], {**BATCH["lines"][0], "payee": "taxman"}]})
    ]
    await refused(bench, await prepared(bench), "batch-never")
    assert not executed(upstream)


BENT: dict[str, Any] = {
    "an amount below zero": [{"amount": 9_000, "payee": "a"}, {"amount": -8_999, "payee": "b"}],
    "an amount in text": [{"amount": "1", "payee": "a"}],
    "an amount that is true": [{"amount": True, "payee": "a"}],
    "a fraction": [{"amount": 0.5, "payee": "a"}],
    "no amount": [{"payee": "a"}],
    "no payee": [{"amount": 1}],
    "no list": {"amount": 1, "payee": "a"},
    "sums beyond all readers": [{"amount": 2**53 - 1, "payee": "a"}, {"amount": 2**53 - 1, "payee": "b"}],
    "more lines than are read": [{"amount": 0}] * 1_001,
}


@pytest.mark.requirement("PREPARE-04")
@pytest.mark.parametrize("what", BENT)
async def test_what_cannot_be_counted_is_not_executed(what):
    bench, upstream = await prepared_bench(structured({**BATCH, "lines": BENT[what]}))
    named = await prepared(bench)
    with pytest.raises(Refused):
        await execute(bench, named)
    assert not executed(upstream)


@pytest.mark.requirement("PREPARE-04")
async def test_a_budget_is_taken_by_what_is_in_the_batch():
    bench, upstream = await prepared_bench(budgets=(("money:EUR", 2_000),))
    await execute(bench, await prepared(bench))
    told = await refused(bench, await prepared(bench), "mandate.budget_spent")
    assert "EUR" in told.message or "money" in told.message
    assert len(executed(upstream)) == 1


@pytest.mark.requirement("PREPARE-05")
async def test_people_see_each_line_and_sign_the_bytes_that_run():
    bench, upstream = await prepared_bench(
        structured({**LARGE, "lines": [*LARGE["lines"], BATCH["lines"][1]]})
    )
    named = await prepared(bench)
    asked = (await execute(bench, named)).approval
    card: Any = parse(asked.card.bytes)
    told = dict(card["prepared"])
    assert told["› lines"] == "2 items; together amount EUR 63.00"
    assert told["› lines 1"].startswith("amount EUR 60.00, iban")
    assert "Linden Bakery" in told["› lines 1"]
    assert named.removeprefix("sha256:") in told["its SHA-256"]
    everything = dict(card["all"])
    assert everything["/prepared/object/lines/0/amount"] == "6000"
    assert "EUR 63.00" in card["sentence"]
    await bench.answer(asked)
    assert (await execute(bench, named)).outcome.status == "succeeded"
    (sent,) = executed(upstream)
    value: Any = parse(asked.shown.bytes)
    assert sent["batch"] == value["value"]["arguments"]["batch"]
    assert parse(sent["batch"].encode()) == value["value"]["prepared"]["object"]


@pytest.mark.requirement("PREPARE-05")
async def test_a_yes_to_one_object_is_no_yes_to_another():
    other = {**LARGE, "lines": [{**LARGE["lines"][0], "iban": "GB29NWBK60161331926819"}]}
    bench, upstream = await prepared_bench(structured(LARGE), structured(other))
    first, second = await prepared(bench), await prepared(bench)
    await bench.answer((await execute(bench, first)).approval)
    assert (await execute(bench, second)).approval is not None
    assert not executed(upstream)
    assert (await execute(bench, first)).outcome is not None


@pytest.mark.requirement("PREPARE-05")
async def test_prepared_again_by_another_entry_is_another_question():
    bench, upstream = await prepared_bench(structured(LARGE), limits=WalkLimits(prepared_ttl_ms=60_000))
    named = await prepared(bench)
    asked = (await execute(bench, named)).approval
    bench.clock.advance(59)
    await bench.answer(asked)
    bench.clock.advance(1)
    assert await prepared(bench) == named
    anew = (await execute(bench, named)).approval
    assert anew is not None
    assert anew.id != asked.id
    assert not executed(upstream)
