"""From a target to the capability that stands for it."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.capability import Capability, ResourceMapping
from answerable.core.registry.snapshot.resolve import CapabilityIndex
from answerable.errors import Malformed


def capability(name, target, method="resources/read", server="crm"):
    return Capability(
        name=name,
        server=server,
        method=method,
        target=target,
        kind="read",
        environment="production",
        tier=0,
        sensitivity="public",
        resource=ResourceMapping(type="Case", fixed="x"),
    )


def test_exact_targets_are_found_by_server_method_and_target():
    index = CapabilityIndex([capability("a", "get", method="tools/call")])
    found = index.resolve("crm", "tools/call", "get")
    assert found is not None
    assert (found.capability.name, found.variables) == ("a", ())
    for place in [("erp", "tools/call", "get"), ("crm", "prompts/get", "get"), ("crm", "tools/call", "Get")]:
        assert index.resolve(*place) is None


def test_a_variable_takes_one_segment_and_nothing_that_climbs():
    index = CapabilityIndex([capability("a", "crm://{team}/cases/{case}")])
    found = index.resolve("crm", "resources/read", "crm://x/cases/4711")
    assert found is not None
    assert found.variables == (("team", "x"), ("case", "4711"))
    for uri in [
        "crm://x/cases/",
        "crm://x/cases/4/7",
        "crm://x/cases/..",
        "crm://x/cases/%2e%2e",
        "crm://../cases/1",
    ]:
        assert index.resolve("crm", "resources/read", uri) is None


def test_exact_goes_before_template_and_two_templates_resolve_to_nothing():
    exact, one, two = (
        capability("e", "crm://a"),
        capability("one", "crm://{x}"),
        capability("two", "crm://a{x}"),
    )
    index = CapabilityIndex([one, exact, two])
    found = index.resolve("crm", "resources/read", "crm://a")
    assert found is not None
    assert found.capability is exact
    assert index.resolve("crm", "resources/read", "crm://ab") is None


def test_one_target_cannot_be_claimed_twice():
    with pytest.raises(Malformed, match="`a` and `b` claim the same target"):
        CapabilityIndex([capability("a", "crm://x"), capability("b", "crm://x")])
