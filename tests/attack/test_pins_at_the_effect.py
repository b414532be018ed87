"""A tool whose approval is gone by the time of the effect is not called, whatever was right when the request came."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.core.decision.obligation import NO_DUTIES, Duties
from answerable.flows.walk import govern_action
from answerable.flows.walk.pin_tools import approve_tool
from answerable.ports.worlds import ChangeScope
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.worlds.parts import to_approve
from tests.worlds.tool import approval, described, describing

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("TOOL-02")
async def test_an_approval_that_is_gone_while_the_intent_is_written_stops_the_action(monkeypatch):
    bench = Bench(pins=fresh(SqliteToolPinRegister))
    describing(bench, get_case=described())
    await bench.registered()
    await bench.issue()
    await approve_tool(*to_approve(bench.walk), approval(described()), by="operator")

    def withdrawn(*_: Any) -> Duties:
        walk = bench.walk
        walk.verification.pins = fresh(SqliteToolPinRegister)
        # A register in a file of its own tells nobody.
        walk.verification.worlds.change(frozenset({ChangeScope("tool/crm/get_case")}))
        return NO_DUTIES

    monkeypatch.setattr(govern_action, "duties_in_force", withdrawn)
    outcome = (await bench.act()).outcome
    assert outcome is not None
    assert (outcome.status, "is not approved yet" in outcome.detail) == ("not_started", True)
    assert bench.upstream.effects == []
