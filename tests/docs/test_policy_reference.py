"""The page about policies says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from answerable.adapters.cedar import published
from answerable.adapters.cedar.publishing import POLICIES_MAX
from answerable.core.decision.argument_values import SET_MEMBERS_MAX
from answerable.core.decision.obligation import (
    ANNOTATION_CHARS_MAX,
    CHOICES_MAX,
    KINDS,
    OBLIGATIONS_MAX,
    SEGMENTS_MAX,
    duties_of,
)
from answerable.core.decision.policy_context import context_type
from answerable.core.decision.shown_answer import (
    COPIES_MAX,
    COPY_CHARS_MIN,
    MASK_CHARS_MIN,
    MASK_CHARS_SHOWN,
)
from answerable.flows.entries.log_outcome import RESULT_BYTES_MAX
from tests.worlds.policy import CAPABILITIES, REGISTRY

PAGE = (Path(__file__).parents[2] / "docs/reference/policy.md").read_text("utf-8")


@pytest.mark.requirement("POLICY-06")
def test_the_policies_on_the_page_can_be_published():
    blocks = re.findall(r"```cedar\n(.*?)```", PAGE, re.DOTALL)
    assert [len(published(block, REGISTRY).policies) for block in blocks] == [3, 1, 2]


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


@pytest.mark.requirement("OBL-01")
def test_the_page_names_every_obligation_and_every_bound_on_them():
    section = PAGE.partition("## Obligations")[2].partition("## Bounds")[0]
    table = section.partition("| Obligation |")[2].partition("**Grammar.**")[0]
    assert {
        re.match(r"[a-z_]+", cell)[0] for cell in re.findall(r"`([a-z_]+[^`]*)`(?=[,|\s]*[,|])", table)
    } >= set(KINDS)
    for text in (
        f"at most {SEGMENTS_MAX} members",
        f"at most {ANNOTATION_CHARS_MAX:,} characters",
        f"at most {OBLIGATIONS_MAX} obligations",
        f"at most {CHOICES_MAX} members",
        f"it has {COPY_CHARS_MIN} characters or more; with more than {COPIES_MAX:,}",
        f"the last {MASK_CHARS_SHOWN} of {MASK_CHARS_MIN} characters or more",
        f"up to {RESULT_BYTES_MAX // 1024**2} MiB",
    ):
        assert text in " ".join(section.split())


@pytest.mark.requirement("OBL-01")
def test_every_obligation_in_the_policies_of_the_page_is_understood():
    for block in re.findall(r"```cedar\n(.*?)```", PAGE, re.DOTALL):
        for note in published(block, REGISTRY).notes.values():
            assert duties_of(note.oblige) is not None
