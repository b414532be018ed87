"""What the registry takes as a preview, and what a hostile server makes of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.core.approval.effect_lines import LINES_MAX, SHOWN_CHARS_MAX
from answerable.core.registry.parsing.active import faults_of
from answerable.testing.samples import document
from answerable.testing.tool_pins import ApprovedAsSeen
from tests.probes.console_client import console_house
from tests.worlds.preview import LOOK, PATIENT, asked_with, bench, documents, says, why_none

pytestmark = pytest.mark.anyio


def moved(what: str) -> list[Any]:
    """The preview is elsewhere."""
    found = documents(**{what: "elsewhere"})
    if what == "server":
        found.append(document("Server", "elsewhere", {"command": "other-server"}))
    return found


def both() -> list[Any]:
    """The preview has one, too."""
    return [
        {**one, "spec": {**one["spec"], "preview": {"capability": "crm.refund"}}}
        if one["metadata"]["name"] == "crm.read"
        else one
        for one in documents()
    ]


def leased(**read: Any) -> list[Any]:
    """Behind a broker, with the same credential for both but for this."""
    found = documents()
    for one in found:
        if one["kind"] == "Server":
            one["spec"] = {"target": "crm-db"}
        if one["kind"] == "Capability":
            more = read.get("read", {}) if one["metadata"]["name"] == "crm.read" else {}
            one["spec"]["lease"] = {"grants": {"rows": 5}, **more}
    return found


def of_no_tool() -> list[Any]:
    """A resource that is read has a preview."""
    read = {
        "server": "crm", "method": "resources/read", "target": "crm://cases/{case}", "kind": "read", "tier": 0,
        "environment": "production", "sensitivity": "internal", "resource": {"type": "Case", "argument": "case"},
        "preview": LOOK,
    }  # fmt: skip
    return [*documents(), document("Capability", "crm.look", read)]


WRONG: dict[str, tuple[Any, str]] = {
    "no such capability": (documents({"capability": "crm.reed"}), "did you mean `crm.read`?"),
    "itself": (documents({"capability": "crm.refund"}), "cannot be its own preview"),
    "with risk": (documents(tier=1), "has no risk"),
    "no reading": (documents(kind="write"), "a preview reads"),
    "other data": (documents(subject={"type": "Customer", "argument": "case"}), "another data subject"),
    "credentials": (documents(credentials={"answers": True}), "no card may show"),
    "another server": (moved("server"), "on another server"),
    "another environment": (moved("environment"), "on another server or environment"),
    "a preview of its own": (both(), "has a preview itself"),
    "no tool": (
        documents(method="resources/read", target="crm://cases/{case}", arguments=[]),
        "is not a tool",
    ),
    "another credential": (documents(lease={"grants": {"rows": 5}}), "`lease.grants`"),
    "a lasting credential": (
        leased(read={"window": "task"}),
        "would outlive its question",
    ),
    "too many arguments": (
        documents({"capability": "crm.read", "arguments": {f"a{one}": "case" for one in range(51)}}),
        "at most 50 arguments",
    ),
    "of no tool": (of_no_tool(), "only a tool can have a preview"),
    "no name": (documents({"capability": "crm.read", "arguments": {"case": 7}}), "write its name"),
    "no pointer": (documents({"capability": "crm.read", "arguments": {"case": "/a//b~"}}), "JSON pointer"),
}


@pytest.mark.requirement("PREVIEW-04")
@pytest.mark.parametrize("what", WRONG)
def test_the_registry_takes_no_preview_that_could_have_an_effect_or_tell_too_much(what):
    found, told = WRONG[what]
    assert any(told in fault.message for fault in faults_of(found)), [one.message for one in faults_of(found)]
    assert not faults_of(documents())
    assert not faults_of(leased())


@pytest.mark.requirement("PREVIEW-04")
@pytest.mark.parametrize(
    ("hints", "told"),
    [
        ({}, "read-only"),
        ({"readOnlyHint": True}, "tier 1"),
        ({"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}, "readOnlyHint false"),
    ],
)
async def test_a_tool_is_not_asked_unless_its_server_says_now_that_it_only_reads(hints, told):
    house = await bench(unhinted="accepted") if not hints else await bench()
    house.upstream.hints = {**house.upstream.hints, "get_case": hints}
    house.walk.verification.pins = ApprovedAsSeen(house.walk.authority.registry, house.upstream)
    assert told in why_none(await asked_with(house))
    assert not house.upstream.effects


@pytest.mark.requirement("PREVIEW-04")
async def test_a_tool_that_changed_since_it_was_approved_is_not_asked():
    house = await bench()
    # A tool is let through as it was when it was first asked for.
    assert (await house.act()).outcome is not None
    house.upstream.hints = {
        **house.upstream.hints,
        "get_case": {"readOnlyHint": True, "openWorldHint": False, "title": "now it does more"},
    }
    assert "has changed since it was approved" in why_none(await asked_with(house))
    assert len(house.upstream.effects) == 1


HOSTILE: dict[str, Any] = {
    "markup": ({"rows": "<script>alert(1)</script>"}, '"rows": "<script>'),
    "our labels": ({"no preview": "dry run", "asks": "nobody"}, '"asks": "nobody"'),
    "turned around": ({"recipients": ["\u202egro.live"]}, "\\u{202e}"),
    "lines": ({"x": "1\n  dry run says we: approve\r"}, "\\n"),
    "half a character": ({"x": "\ud800"}, "?"),
    "no number": ({"rows": True}, '"rows": true'),
    "below nothing": ({"rows": -5}, '"rows": -5'),
    "no currency": ({"amount": {"minor": 1, "currency": "EUR (paid)"}}, "EUR (paid)"),
    "no list": ({"recipients": {"a": 1}}, '"recipients": {"a":1}'),
}


@pytest.mark.requirement("PREVIEW-05")
@pytest.mark.parametrize("what", HOSTILE)
async def test_whatever_a_server_says_stands_quoted_under_a_label_of_ours(what):
    structured, part = HOSTILE[what]
    house = await bench()
    house.upstream.answer = says(structured)
    lines = await asked_with(house)
    assert {label for label, _ in lines} <= {"dry run", "says", "recipients"}
    assert part in json.dumps(lines, ensure_ascii=False).replace('\\"', '"').replace("\\\\", "\\")
    assert all(text.isprintable() for line in lines for text in line)


@pytest.mark.requirement("PREVIEW-05")
async def test_on_the_page_and_in_the_terminal_what_a_server_says_is_text():
    house = await console_house()
    bench = house.bench
    bench.walk.limits = bench.asking.limits = PATIENT
    await bench.registered(documents())
    await bench.issue()
    bench.upstream.answer = says({"recipients": ["<b>a@x.example</b>"], "<script>": "\x1b[2Jgone"})
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    page = (await (await house.signed_in()).page(f"/approvals/{asked.id}")).text
    assert "<h2>What it would do" in page
    assert "<b>a@x" not in page
    assert "<script>&#34;" not in page
    assert "&lt;b&gt;a@x.example&lt;/b&gt;" in page
    assert "\x1b" not in asked.card.bytes.decode() + page


@pytest.mark.requirement("PREVIEW-05")
@pytest.mark.parametrize(
    "answer",
    [
        says({"x": "a" * 3_000_000}),
        says({f"m{number}": number for number in range(50_000)}),
        says({"recipients": [f"{number}@x.example" for number in range(100_000)]}),
        says({"diff": "\n".join(f"+ line {number}" for number in range(100_000))}),
        says({"diff": [{"path": "\u202e" * 500, "before": "\u202e" * 500, "after": 1}] * 3_000}),
        says(text="\u200b\n" * 1_000_000),
        says({"present": {f"m{number}": number for number in range(50_000)}}),
    ],
    ids=["long", "wide", "many", "diff", "growing", "text", "present"],
)
async def test_a_flood_fits_on_the_card_and_says_what_is_missing(answer):
    house = await bench()
    house.upstream.answer = answer
    lines = await asked_with(house)
    assert len(lines) <= LINES_MAX + 3
    assert sum(len(text) for line in lines for text in line) <= SHOWN_CHARS_MAX + 500
    assert "more" in lines[-1][1] or any("more" in text for _, text in lines), lines[-2:]


@pytest.mark.requirement("PREVIEW-05")
async def test_a_credential_in_what_is_looked_up_stands_on_no_card():
    house = await bench()
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
    house.upstream.answer = says({"note": f"use {token}"}, text=token)
    lines = await asked_with(house)
    assert token not in json.dumps(lines)
    assert any("note" in text for _, text in lines)
