"""What comes before this process has read what a server offers."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from answerable.testing.recording_upstream import sample_tools
from tests.worlds.tool import describing

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("NEIGHBOUR-22")
async def test_a_list_that_was_not_read_yet_is_nobodys_denial_and_a_tool_that_it_lacks_is_one():
    bench = await Bench(limits=WalkLimits(refusals_recorded_max=1)).registered()
    await bench.issue()
    describing(bench).gone.add("get_case")
    bench.upstream.lists("crm", None)
    for _ in range(3):
        with pytest.raises(Unavailable, match="has not been read yet") as unread:
            await bench.act()
        assert (unread.value.code, unread.value.effect) == ("upstream.unknown", "none")
    assert bench.entries(Tag.REFUSAL) == []
    bench.upstream.lists("crm", sample_tools())
    for code in ("upstream.unknown", "held.mandate"):
        with pytest.raises(Refused) as told:
            await bench.act()
        assert told.value.code == code
