"""The page about policies says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from answerable.adapters.cedar import published
from answerable.adapters.cedar.publishing import POLICIES_MAX
from answerable.core.decision.argument_values import SET_MEMBERS_MAX
from answerable.core.decision.policy_context import context_type
from tests.policy_world import CAPABILITIES, REGISTRY

PAGE = (Path(__file__).parents[2] / "docs/reference/policy.md").read_text("utf-8")


@pytest.mark.requirement("POLICY-06")
def test_the_policies_on_the_page_can_be_published():
    blocks = re.findall(r"```cedar\n(.*?)```", PAGE, re.DOTALL)
    assert [len(published(block, REGISTRY).policies) for block in blocks] == [3, 1]


@pytest.mark.requirement("POLICY-06")
def test_the_page_names_every_member_of_the_context_and_no_other():
    attributes = context_type(CAPABILITIES["crm.customer.read"], REGISTRY.parts)["attributes"]
    named = {"arguments", "history", "windows"}
    wanted = {"context.now", "context.proof", *(f"context.{member}" for member in named)}
    for member in set(attributes) - named - {"now", "proof"}:
        wanted |= {f"context.{member}.{name}" for name in attributes[member]["attributes"]}
    table = PAGE.partition("## Context")[2].partition("## Arguments")[0]
    assert set(re.findall(r"context\.\w+(?:\.\w+)?", table)) == wanted
    assert f"at most {SET_MEMBERS_MAX} texts" in PAGE
    assert f"{POLICIES_MAX:,} policies" in PAGE
