"""What people get to see of a prepared object, at the console and on the card, and what a stranger decides again."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.apps.console import ConsoleServices, console_app
from answerable.core.approval.prepared_lines import prepared_lines
from answerable.core.canonical import encode, parse
from answerable.core.mandate.caveat import ArgumentAtMost
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.testing.registers import fresh
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey
from answerable.verify.ledger_replay import replay_entries
from tests.attack.test_console_approvals import answered
from tests.probes.console_client import Client
from tests.worlds.parts import NO_SEARCHES
from tests.worlds.passkey import enrolled
from tests.worlds.prepared import (
    BATCH,
    LARGE,
    execute,
    executed,
    prepared,
    prepared_bench,
    structured,
)

pytestmark = pytest.mark.anyio
HOSTILE = '</dd><script>alert(1)</script> hx-get="/sign-out" \u202e\u200bx'
PAGE_BYTES_MAX = 60_000


async def at_the_console(batch: Any) -> tuple[Any, Any, Any, Client, SoftPasskey]:
    """The bench, its upstream, what waits, and the browser of bob, who may answer."""
    bench, upstream = await prepared_bench(structured(batch))
    bench.asking.passkeys = PasskeyState(
        register=fresh(SqlitePasskeyRegister), rp_id=RP_ID, origins=(ORIGIN,)
    )
    asked = (await execute(bench, await prepared(bench))).approval
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    app = console_app(ConsoleServices(walk=bench.walk, origin=ORIGIN, searches=NO_SEARCHES))
    bob = Client(app)
    await bob.sign_in(device)
    await bob.page("/")
    return bench, upstream, asked, bob, device


@pytest.mark.requirement("PREPARE-05")
async def test_at_the_console_each_line_is_read_and_signed_by_passkey_and_runs():
    bench, upstream, asked, bob, device = await at_the_console(LARGE)
    page = (await bob.page(f"/approvals/{asked.id}")).text
    for part in (
        "What was prepared, and is executed unchanged",
        "1 item; together amount EUR 60.00",
        "Linden Bakery",
    ):
        assert part in page
    assert (await answered(bob, asked, device)).status_code == 200
    assert (await execute(bench, prepared_digest(asked))).outcome.status == "succeeded"
    assert parse(executed(upstream)[0]["batch"].encode()) == LARGE


def prepared_digest(asked: Any) -> str:
    value: Any = parse(asked.shown.bytes)
    return f"sha256:{value['value']['prepared']['digest']}"


@pytest.mark.requirement("PREPARE-05")
async def test_a_server_does_not_write_markup_or_lines_of_ours():
    batch = {**LARGE, "its SHA-256": HOSTILE, HOSTILE: 1}
    _, _, asked, bob, _ = await at_the_console(batch)
    page = (await bob.page(f"/approvals/{asked.id}")).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    labels = [label for label, _ in list(parse(asked.card.bytes)["prepared"])]
    assert labels[:2] == ["prepared by", "its SHA-256"]
    assert all(label.startswith("› ") for label in labels[2:])


@pytest.mark.requirement("PREPARE-05")
async def test_a_run_of_forty_lines_is_a_page_that_a_phone_loads():
    lines = [
        {**BATCH["lines"][0], "amount": 1_000 + number, "payee": f"Payee {number}"} for number in range(40)
    ]
    _, _, asked, bob, _ = await at_the_console({**BATCH, "lines": lines})
    page = await bob.page(f"/approvals/{asked.id}")
    assert len(page.content) < PAGE_BYTES_MAX, len(page.content)
    assert "Payee 39" in page.text


@pytest.mark.requirement("PREPARE-05")
def test_each_value_is_on_a_line_whatever_its_shape():
    odd: Any = {
        "a": [],
        "b": {},
        "c": [[1], {"x": {"y": [{"z": "deep"}]}}],
        "d": None,
        "e": ["p", "q"],
        "f": {"g": True},
    }
    told = list(prepared_lines({"prepared": {"by": "x", "digest": "d", "entry": 1, "object": odd}}))
    text = str(told)
    for part in ("[]", "{}", "[1]", "deep", "null", '["p","q"]', "true"):
        assert part in text, (part, told)
    assert list(prepared_lines({"arguments": {}})) == []
    (*_, last) = prepared_lines({"prepared": {"by": "x", "digest": "d", "entry": 1, "object": "-a\n+b"}})
    assert last == ("› 2", "+b")
    (*_, only) = prepared_lines({"prepared": {"by": "x", "digest": "d", "entry": 1, "object": [1, 2]}})
    assert only == ("› value", "[1,2]")


@pytest.mark.requirement("PREPARE-04")
async def test_sums_are_ours_and_only_of_what_all_items_have():
    odd: Any = {"lines": [{"n": 1, "t": "a", "b": True}, {"n": 2, "t": "b", "b": True, "more": 5}]}
    told = dict(prepared_lines({"prepared": {"by": "x", "digest": "d", "entry": 1, "object": odd}}))
    assert told["› lines"] == "2 items; together n 3"


@pytest.mark.requirement("PREPARE-04")
async def test_a_mandate_bounds_what_is_inside_and_a_stranger_decides_the_same():
    bench, upstream = await prepared_bench(
        structured(BATCH), structured({**BATCH, "lines": [BATCH["lines"][1]]})
    )
    grants = (
        Grant(capability="crm.prepare"),
        Grant(capability="crm.execute", caveats=(ArgumentAtMost(name="largest", maximum=1_000),)),
    )
    await bench.issue("m-2", grants=grants)
    with pytest.raises(Refused, match="largest"):
        await execute(bench, await prepared(bench, mandate="m-2"), mandate="m-2")
    await execute(bench, await prepared(bench, mandate="m-2"), mandate="m-2")
    assert len(executed(upstream)) == 1
    found = list(replay_entries(bench.recorder.ledger.replay(), bench.recorder.subject_keys.find))
    assert [one.verdict for one in found] == ["same"] * len(found), [one.text for one in found]
    assert len(found) == 4


@pytest.mark.requirement("PREPARE-05")
@pytest.mark.parametrize(
    ("money", "amounts", "told"),
    [
        ("/lines/*/n", {"money:EUR": 3}, "2 items; together n EUR 0.03"),
        ("/lines/*/n", {"money:JPY": 3}, "2 items; together n JPY 3"),
        ("/other/*/n", {"money:EUR": 3}, "2 items; together n 3"),
        ("/lines/*/t", {"money:EUR": 3}, "2 items; together n 3"),
        ("/lines/*/n", {"money:EUR": 3, "money:USD": 1}, "2 items; together n 3"),
        ("/lines/*/n", {}, "2 items; together n 3"),
        ("", {"money:EUR": 3}, "2 items; together n 3"),
    ],
)
async def test_only_what_budgets_add_up_is_told_as_money(money, amounts, told):
    prepared = {
        "by": "x", "digest": "d", "entry": 1, "object": {"lines": [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}]},
        **({"money": money} if money else {}),
    }  # fmt: skip
    value: Any = {"amounts": amounts, "prepared": prepared}
    assert dict(prepared_lines(value))["› lines"] == told


@pytest.mark.requirement("PREPARE-05")
@pytest.mark.parametrize(
    "name",
    ['payee "Linden Bakery", amount EUR 1.00, note', "amount: 1; together amount EUR 1.00, x", "a b", ""],
)
def test_no_name_that_a_server_chose_goes_on_as_if_it_were_another_value(name: str):
    prepared = {
        "by": "b", "entry": 1, "digest": "0" * 64, "money": "/lines/*/amount",
        "object": {"lines": [{"amount": 999_900, name: 1}], name: {name: 2}},
    }  # fmt: skip
    value: Any = {"prepared": prepared, "amounts": {"money:EUR": 999_900}}
    told = [(label, text) for label, text in prepared_lines(value) if label.startswith("› ")]
    quoted = encode(name).decode()
    assert ("› lines 1", f"amount EUR 9,999.00, {quoted} 1") in told
    assert ("› lines", f"1 item; together amount EUR 9,999.00, {quoted} 1") in told
    assert (f"› {quoted} · {quoted}", "2") in told
