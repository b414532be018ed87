"""A tool whose approval is gone by the time of the effect is not called, whatever was right when the request came."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.flows.walk.pin_tools import approve_tool
from answerable.ports.worlds import ChangeScope
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.attack.test_last_look import acted_while
from tests.worlds.authority_source import Sourced
from tests.worlds.parts import to_approve
from tests.worlds.tool import approval, described, describing

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("TOOL-02")
async def test_an_approval_that_is_gone_while_the_intent_is_written_stops_the_action():
    bench = Bench(pins=fresh(SqliteToolPinRegister))
    describing(bench, get_case=described())
    await bench.registered()
    await bench.issue()
    await approve_tool(*to_approve(bench.walk), approval(described()), by="operator")

    async def withdrawn() -> None:
        verification = bench.walk.verification
        verification.pins = fresh(SqliteToolPinRegister)
        # A register in a file of its own tells nobody.
        verification.worlds.change(frozenset({ChangeScope("tool/crm/get_case")}))

    outcome = (await acted_while(Sourced(bench), withdrawn)).outcome
    assert outcome is not None
    assert (outcome.status, "is not approved yet" in outcome.detail) == ("not_started", True)
    assert bench.upstream.effects == []
