"""Laws of tool definitions: whatever a server says, its owner is told what differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.registry.active import snapshot_of
from answerable.core.registry.capability_proposal import proposed
from answerable.core.registry.tool_change import tool_changes
from answerable.core.registry.tool_hints import hint_fault
from answerable.core.registry.tool_types import type_fault
from answerable.testing.builders import bench_documents

pytestmark = pytest.mark.requirement("TOOL-05")

CAPABILITY = snapshot_of(bench_documents()).capabilities["crm.refund"]

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


@pytest.mark.requirement("TOOL-14")
@given(
    tool=st.dictionaries(st.sampled_from(["name", "title", "annotations"]), json_values),
    schema=json_values | members,
)
def test_whatever_a_server_says_a_proposal_is_made_and_nobody_owns_it(tool, schema):
    document = proposed("crm", {**tool, "inputSchema": schema}).document
    spec = document["spec"]
    assert isinstance(spec, dict)
    assert "ownership" not in spec
    assert type_fault(CAPABILITY, {"inputSchema": schema}).isprintable()
    assert hint_fault(CAPABILITY, tool).isprintable()
