"""The MCP conformance suite, which others wrote, on elicitation and input-required: a gateway that asks people."""

from __future__ import annotations

import pytest
from anyio import to_thread

from answerable.core.ledger.tags import Tag
from tests.interop.asked_world import asked_world
from tests.interop.mcp_conformance import ASKING, judged_asking, listed, revisions, table
from tests.interop.test_mcp_conformance import check

pytestmark = pytest.mark.anyio
SCENARIOS = list(table(ASKING).values())


@pytest.mark.requirement("ASKING-04")
def test_every_scenario_about_asking_is_in_the_table_and_no_other():
    about = {name for name in listed()["server"] if "elicitation" in name or "input-required" in name}
    assert table(ASKING).keys() == about


@pytest.mark.requirement("ASKING-04")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
async def test_the_gateway_does_in_each_scenario_what_the_table_says(scenario, tmp_path):
    """Whatever does not pass says why, and where nobody answers, nothing that the suite says makes anything run."""
    assert bool(scenario.reason) == bool(scenario.failing) == (scenario.outcome == "fail")
    home = tmp_path / "world"
    home.mkdir()
    async with asked_world(home, answers=scenario.answers) as (world, url):
        for revision in revisions(scenario):
            folder = tmp_path / revision
            folder.mkdir()
            check(scenario, await to_thread.run_sync(judged_asking, scenario.name, revision, url, folder))
        if not scenario.answers:
            assert not world.entries(Tag.INTENT)
