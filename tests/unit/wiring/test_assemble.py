"""What runs beside the doors goes on while the log is full, and ends when it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from anyio import move_on_after

from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.testing.builders import Bench
from answerable.testing.trouble import Trouble, TroubledLedger
from answerable.wiring.assemble import _settling

if TYPE_CHECKING:
    from answerable.testing.trouble import Fault
    from answerable.wiring.assemble import Product

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-10")]


async def beside_a_log_that_is(fault: Fault) -> Bench:
    bench = await Bench().registered()
    bench.walk.strangers = lambda: {"time": 1}
    raw, left = bench.walk.ledger, iter([fault, fault])
    bench.walk.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: next(left, None) if "submit" in method else None)
    )
    with move_on_after(0.1):
        await _settling(cast("Product", SimpleNamespace(walk=bench.walk)), 0.005)
    return bench


async def test_a_full_log_delays_what_is_to_be_written_and_ends_nothing():
    bench = await beside_a_log_that_is("full")
    assert [entry["strangers"] for entry in bench.entries(Tag.REFUSALS_COUNTED)] == [{"time": 1}]


async def test_a_log_that_failed_ends_what_runs_beside_it():
    with pytest.raises(Unavailable) as told:
        await beside_a_log_that_is("undone")
    assert told.value.code == "ledger.poisoned"
