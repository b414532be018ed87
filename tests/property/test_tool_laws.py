"""Laws of tool definitions: whatever a server says, its owner is told what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.registry.documents.capability import ACTION_KINDS
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.parsing.capability_proposal import proposed
from answerable.core.registry.tools.tool_change import tool_changes
from answerable.core.registry.tools.tool_hints import HINTS, RISKY, hint_fault, raised
from answerable.core.registry.tools.tool_types import type_fault
from answerable.testing.builders import bench_documents

if TYPE_CHECKING:
    from answerable.core.registry.documents.capability import Capability

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


def raising(**changes: Any) -> Capability:
    return replace(CAPABILITY, **changes)


annotated = st.dictionaries(
    st.sampled_from([*HINTS, "title"]), st.booleans() | st.none() | st.integers(0, 1), max_size=5
)
owners_words = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(ACTION_KINDS),
        "tier": st.integers(0, 3),
        "unhinted_accepted": st.booleans(),
    }
)


@pytest.mark.requirement("HINT-02")
@given(annotations=annotated, spec=owners_words)
def test_no_hint_said_or_left_out_lowers_a_tier_or_changes_anything_else(annotations, spec):
    capability = raising(**spec)
    found = raised(capability, {"annotations": annotations})
    assert capability.tier <= found.tier <= 3
    assert replace(found, tier=capability.tier) == capability


@pytest.mark.requirement("HINT-02")
@given(annotations=annotated, spec=owners_words, left_out=st.sampled_from(HINTS))
def test_to_leave_a_hint_out_is_never_cheaper_than_to_say_it(annotations, spec, left_out):
    capability = raising(**spec | {"unhinted_accepted": False})
    fewer = {name: value for name, value in annotations.items() if name != left_out}
    assert (
        raised(capability, {"annotations": fewer}).tier
        >= raised(capability, {"annotations": annotations}).tier
    )


@pytest.mark.requirement("HINT-01")
@given(annotations=annotated, spec=owners_words)
def test_what_is_left_out_counts_as_the_protocol_has_it(annotations, spec):
    capability = raising(**spec | {"unhinted_accepted": False})
    outright = {
        name: value if isinstance(value := annotations.get(name), bool) else RISKY[name] for name in HINTS
    }
    assert raised(capability, {"annotations": annotations}) == raised(capability, {"annotations": outright})


@pytest.mark.requirement("HINT-03")
@given(annotations=annotated, spec=owners_words)
def test_accepting_takes_nothing_from_what_is_said(annotations, spec):
    accepting = raising(**spec | {"unhinted_accepted": True})
    found = raised(accepting, {"annotations": annotations})
    said = {name: annotations.get(name) is True for name in HINTS}
    if said["openWorldHint"]:
        assert found.tier >= 1
    if said["destructiveHint"] and not said["readOnlyHint"]:
        assert found.tier >= 2 + said["openWorldHint"]
    if annotations.get("readOnlyHint") is False:
        assert found.tier >= 1 + said["openWorldHint"]
