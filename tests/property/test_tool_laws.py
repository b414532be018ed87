"""Laws of tool definitions: whatever a server says, its owner is told what differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.registry.tool_change import tool_changes

pytestmark = pytest.mark.requirement("TOOL-05")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=10,
)
members = st.dictionaries(
    st.sampled_from(["name", "description", "title", "inputSchema", "annotations", "outputSchema", "_meta"]),
    json_values
    | st.fixed_dictionaries({"properties": st.dictionaries(st.text(max_size=3), json_values, max_size=3)}),
    max_size=5,
)


@given(old=st.none() | json_values | members, new=json_values | members)
def test_no_difference_goes_untold_whatever_a_server_says(old, new):
    found = tool_changes(old, new, server="crm")
    assert bool(found) == (old != new)
    assert all(one.text.isprintable() for one in found)
