"""What an action would do, as a card tells it: by whose word, at what price, and what a hostile server makes of it."""

from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import pytest
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.approval.card import is_card_of
from answerable.core.approval.effect_lines import LINES_MAX, SHOWN_CHARS_MAX
from answerable.core.canonical import freeze, parse
from answerable.core.containment.hold import Holdable
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant
from answerable.core.registry.active import faults_of
from answerable.errors import Broken, Refused
from answerable.flows.govern_action import govern_action
from answerable.flows.reconstruct_timeline import reconstruct_timeline
from answerable.flows.walk import WalkLimits
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.samples import document
from answerable.testing.tool_pins import ApprovedAsSeen
from tests.attack.test_shown_answers import found
from tests.console_client import console_house
from tests.hold_world import stop
from tests.walk_world import fields_of

pytestmark = pytest.mark.anyio

PATIENT = WalkLimits(preview_ms_max=60_000)
"""So that a busy machine is not taken for a server that hangs."""
LOOK = {"capability": "crm.read", "arguments": {"case": "case"}}


def documents(preview: Any = LOOK, *, policies: str = POLICIES, **read: Any) -> list[Any]:
    """The bench's, in which refunds have a preview: the reading of their case, which has no risk."""
    found: list[Any] = bench_documents(policies)
    for one in found:
        if one["metadata"]["name"] == "crm.read":
            one["spec"] |= {"tier": 0, **read}
        if one["metadata"]["name"] == "crm.refund":
            one["spec"]["preview"] = preview
    return found


async def bench(limits: WalkLimits | None = None, **changes: Any) -> Bench:
    found = await Bench(limits=limits or PATIENT).registered(documents(**changes))
    await found.issue()
    return found


def says(structured: Any = None, *, text: str = "") -> Any:
    """An upstream that answers this to whatever is read."""
    content = [{"type": "text", "text": text}] if text else []
    result: dict[str, Any] = {"content": content}
    if structured is not None:
        result["structuredContent"] = structured
    return lambda _effect: Outcome(status="succeeded", result=result)


def effect_of(asked: Any) -> list[list[str]]:
    assert asked is not None
    assert is_card_of(asked.card, asked.shown)
    card = parse(asked.card.bytes)
    assert isinstance(card, dict)
    return card["effect"]  # type: ignore[return-value]


async def asked_with(house: Bench, amount: int = 6000) -> list[list[str]]:
    return effect_of((await house.refund(amount)).approval)


def why_none(lines: list[list[str]]) -> str:
    ((label, text),) = lines
    assert label == "no preview", lines
    return text


@pytest.mark.requirement("PREVIEW-01")
async def test_the_card_shows_what_would_happen_and_whose_word_that_is():
    house = await bench()
    house.upstream.answer = says(
        {
            "amount": {"minor": 600000, "currency": "EUR"},
            "recipients": ["a@x.example", "b@x.example"],
            "left": 3,
        }
    )
    asked = (await house.refund(6000)).approval
    (first, *rest) = effect_of(asked)
    assert first[0] == "dry run"
    assert "`crm`" in first[1]
    assert "not verified" in first[1]
    assert "as of 2026-" in first[1]
    assert rest == [
        ["amount", "EUR 6,000.00"],
        ["recipients", '2: "a@x.example", "b@x.example"'],
        ["says", '"left": 3'],
    ]
    assert asked is not None
    assert (await house.answer(asked)).state == "approved"
    (fields,) = fields_of(house, Tag.APPROVAL_ASKED)
    assert fields["card"] == parse(asked.card.bytes), "what was shown stands in the ledger"


@pytest.mark.requirement("PREVIEW-01")
async def test_a_stranger_finds_what_was_shown_signed_and_no_other_words_in_its_place():
    house = await bench()
    house.upstream.answer = says({"rows": 3})
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.answer(asked)
    assert (await house.refund(6000)).outcome is not None
    assert found(house) == ([], 0), (
        "the look-up itself needed no answer, and is none of those that are compared"
    )
    card: Any = parse(asked.card.bytes)
    fewer = freeze({**card, "effect": [*card["effect"][:1], ["rows", "2"]]})
    assert is_card_of(fewer, asked.shown)
    assert found(house, {(Tag.APPROVAL_ASKED, "card"): fewer})[0] == ["approval.signed"]


@pytest.mark.requirement("PREVIEW-02")
async def test_a_preview_is_an_action_with_an_intent_of_its_own_that_says_what_for():
    house = await bench()
    asked = (await house.refund(6000)).approval
    assert asked is not None
    (intent,) = house.entries(Tag.INTENT)
    (outcome,) = house.entries(Tag.OUTCOME)
    (question,) = house.entries(Tag.APPROVAL_ASKED)
    assert (intent["capability"], intent["preview_of"], intent["mandate"]) == ("crm.read", asked.id, "m-1")
    assert intent["index"] < outcome["index"] < question["index"]
    assert [one.arguments for one in house.upstream.effects] == [{"case": "4711"}]
    assert not house.upstream.violations
    again = (await house.refund(6000)).approval
    assert again is not None
    assert again.id == asked.id
    assert len(house.upstream.effects) == 1, "the same question is not looked up again"
    read = await house.act()
    assert read.outcome is not None
    assert "preview_of" not in house.entries(Tag.INTENT)[-1], (
        "what the agent asked for itself says no such thing"
    )


@pytest.mark.requirement("PREVIEW-02")
async def test_the_story_of_a_task_says_that_it_was_not_the_agent_who_looked():
    house = await bench()
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.act()
    lines = reconstruct_timeline(house.walk.ledger.replay(), "m-1", house.walk.subject_keys.find)
    told = [line.text for line in lines if line.kind == "intent"]
    said = f"asked by the gateway for the card of approval {asked.id}"
    assert [said in text for text in told] == [True, False]


@pytest.mark.requirement("PREVIEW-02")
async def test_the_agent_learns_nothing_of_what_was_looked_up():
    house = await bench()
    house.upstream.answer = says({"secret": "the customer is Amara"})
    answer = await house.refund(6000)
    assert (answer.outcome, answer.receipt, answer.narrowed) == (None, None, b"")
    assert answer.approval is not None
    assert "Amara" not in repr(
        (answer.approval.reasons, answer.approval.void_because, answer.approval.action)
    )


@pytest.mark.requirement("PREVIEW-03")
async def test_what_the_agent_may_not_read_is_not_read_for_it_either():
    house = await Bench(limits=PATIENT).registered(documents())
    await house.issue(grants=(Grant(capability="crm.refund"),))
    assert "`crm.read` is not allowed" in why_none(await asked_with(house))
    assert not house.upstream.effects
    assert not house.entries(Tag.REFUSAL, Tag.INTENT), "it was not tried, so it is no refusal of the agent's"


FORBID = (
    '@id("no-look")\n@reason("no looking")\nforbid (principal, action == Action::"crm.read", resource);\n'
)
ASKS = '@id("ask-look")\n@reason("looking waits")\n@approve("approvers:1")\n' + FORBID.split("\n", 2)[2]


@pytest.mark.requirement("PREVIEW-03")
@pytest.mark.parametrize(
    ("rule", "told"), [(FORBID, "is not allowed"), (ASKS, "would itself wait for people")]
)
async def test_what_policy_does_not_let_through_at_once_is_told_and_not_tried(rule, told):
    house = await bench(policies=POLICIES + rule)
    assert told in why_none(await asked_with(house))
    assert not house.upstream.effects
    assert len(house.walk.approvals.all(pending_only=True, now=house.clock.now())) == 1, (
        "no question about a question"
    )


@pytest.mark.requirement("PREVIEW-03")
async def test_a_server_that_fails_says_nothing_or_breaks_stops_no_question(caplog):
    house = await bench()
    house.upstream.answer = lambda _: Outcome(status="failed", detail="no such case")
    assert "no such case" in why_none(await asked_with(house, 6001))
    house.upstream.answer = lambda _: Outcome(status="indeterminate", detail="the connection was lost")
    assert "not known" in why_none(await asked_with(house, 6002))

    async def breaks(_effect: Any) -> None:
        raise RuntimeError("a bug with a secret in it")

    house.upstream.before = breaks
    with caplog.at_level(logging.CRITICAL):
        told = why_none(await asked_with(house, 6003))
    assert "RuntimeError" in told
    assert "secret" not in told
    assert len(house.entries(Tag.APPROVAL_ASKED)) == 3


@pytest.mark.requirement("PREVIEW-03")
async def test_a_server_that_hangs_is_left_alone_and_its_end_is_on_record():
    house = await bench(WalkLimits(preview_ms_max=1_000))

    async def hangs(_effect: Any) -> None:
        await anyio.sleep_forever()

    house.upstream.before = hangs
    assert "did not answer `get_case` in 1 s" in why_none(await asked_with(house))
    begun, ended = house.entries(Tag.INTENT), house.entries(Tag.INDETERMINATE, Tag.OUTCOME)
    # A machine that is too busy to begin within the second begins nothing.
    assert len(begun) == len(ended)
    assert all(one["status"] in ("indeterminate", "not_started") for one in ended)
    assert not house.walk.open_intents


@pytest.mark.requirement("PREVIEW-03")
async def test_a_preview_takes_no_call_that_the_action_itself_needs():
    house = await Bench(limits=PATIENT).registered(documents())
    await house.issue(calls_max=1)
    assert "what the action itself needs" in why_none(await asked_with(house))
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.answer(asked)
    assert (await house.refund(6000)).outcome is not None


@pytest.mark.requirement("PREVIEW-03")
async def test_what_is_asked_fits_the_tool_and_is_taken_from_the_action_alone():
    house = await bench(preview={"capability": "crm.read"})
    assert "arguments do not fit" in why_none(await asked_with(house))
    house = await bench(preview={"capability": "crm.read", "arguments": {"case": "/case"}})
    assert (await asked_with(house))[0][0] == "dry run"
    house = await bench(preview={"capability": "crm.read", "arguments": {"case": "customer"}})
    assert "case is missing" in why_none(await asked_with(house))


@pytest.mark.requirement("PREVIEW-03")
async def test_what_holds_the_data_of_somebody_else_is_not_looked_up():
    found = documents(subject={"type": "Customer", "argument": "amount"})
    for one in found:
        if one["metadata"]["name"] == "crm.refund":
            one["spec"]["subject"] = {"type": "Customer", "argument": "amount"}
    house = await Bench(limits=PATIENT).registered(found)
    await house.issue()
    assert "data of somebody else" in why_none(await asked_with(house))
    assert not house.upstream.effects


@pytest.mark.requirement("PREVIEW-03")
async def test_what_policy_would_narrow_is_not_looked_up_as_something_else():
    rule = (
        '@id("narrow") @reason("narrowed") @oblige("modify:case<=4710")\n'
        'forbid(principal, action == Action::"crm.read", resource);\n'
    )
    found = documents(
        policies=POLICIES + rule, arguments=[{"name": "case", "type": "decimal", "required": True}]
    )
    house = await Bench(limits=PATIENT).registered(found)
    await house.issue()
    assert "policy would narrow" in why_none(await asked_with(house))
    assert not house.upstream.effects


@pytest.mark.requirement("PREVIEW-03")
async def test_an_invariant_that_falls_is_not_talked_away():
    house = await bench()

    async def falls(_effect: Any) -> None:
        raise Broken("a law fell", code="test.broken")

    house.upstream.before = falls
    with pytest.raises(Broken):
        await house.refund(6000)
    assert not house.entries(Tag.APPROVAL_ASKED)


@pytest.mark.requirement("PREVIEW-03")
async def test_what_became_a_question_in_the_last_moment_asks_nobody():
    house = await bench()
    action, caller = house.request("refund", {"case": "4711", "amount": 6000})
    with pytest.raises(Refused) as refused:
        await govern_action(house.walk, structs.replace(action, preview_of="a-1"), caller)
    assert refused.value.code == "preview.deferred"
    (entry,) = house.entries(Tag.REFUSAL)
    assert entry["preview_of"] == "a-1"
    assert not house.entries(Tag.APPROVAL_ASKED)


@pytest.mark.requirement("PREVIEW-03")
async def test_a_preview_that_is_not_in_force_any_more_is_told():
    house = await bench()
    found = documents()
    for one in found:
        if one["metadata"]["name"] == "crm.read":
            del one["spec"]["ownership"]
    await house.registered(found)
    assert "`crm.read` is not active" in why_none(await asked_with(house))


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
    "itself": (documents({"capability": "crm.refund"}), "by being done"),
    "with risk": (documents(tier=1), "has no risk"),
    "no reading": (documents(kind="write"), "a preview reads"),
    "other data": (documents(subject={"type": "Customer", "argument": "case"}), "somebody else"),
    "credentials": (documents(credentials={"answers": True}), "no card may show"),
    "another server": (moved("server"), "of another server"),
    "another environment": (moved("environment"), "of another server or environment"),
    "a preview of its own": (both(), "has a preview itself"),
    "no tool": (documents(method="resources/read", target="crm://cases/{case}", arguments=[]), "is no tool"),
    "another credential": (documents(lease={"grants": {"rows": 5}}), "`lease.grants`"),
    "too many arguments": (
        documents({"capability": "crm.read", "arguments": {f"a{one}": "case" for one in range(51)}}),
        "at most 50 arguments",
    ),
    "of no tool": (of_no_tool(), "only a tool has effects"),
    "no name": (documents({"capability": "crm.read", "arguments": {"case": 7}}), "write its name"),
    "no pointer": (documents({"capability": "crm.read", "arguments": {"case": "/a//b~"}}), "JSON pointer"),
}


@pytest.mark.requirement("PREVIEW-04")
@pytest.mark.parametrize("what", WRONG)
def test_the_registry_takes_no_preview_that_could_have_an_effect_or_tell_too_much(what):
    found, told = WRONG[what]
    assert any(told in fault.message for fault in faults_of(found)), [one.message for one in faults_of(found)]
    assert not faults_of(documents())


@pytest.mark.requirement("PREVIEW-04")
@pytest.mark.parametrize(
    ("hints", "told"),
    [
        ({}, "only reads"),
        ({"readOnlyHint": True}, "tier 1"),
        ({"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}, "readOnlyHint false"),
    ],
)
async def test_a_tool_is_not_asked_unless_its_server_says_now_that_it_only_reads(hints, told):
    house = await bench(unhinted="accepted") if not hints else await bench()
    house.upstream.hints = {**house.upstream.hints, "get_case": hints}
    house.walk.pins = ApprovedAsSeen(house.walk.registry, house.upstream)
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
    bench.walk.limits = PATIENT
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


@pytest.mark.requirement("PREVIEW-06")
async def test_what_a_preview_says_changes_neither_what_is_bound_nor_what_runs():
    house = await bench()
    house.upstream.answer = says({"rows": 1})
    asked = (await house.refund(6000)).approval
    assert asked is not None
    await house.answer(asked)
    house.upstream.answer = says({"rows": 1_000_000})
    assert (await house.refund(6000)).outcome is not None
    assert [one.arguments for one in house.upstream.effects] == [
        {"case": "4711"},
        {"amount": 6000, "case": "4711"},
    ]
    used = house.walk.approvals.find(asked.id)
    assert used is not None
    assert (used.state, used.void_because) == ("used", ())


@pytest.mark.requirement("PREVIEW-06")
async def test_a_hold_that_comes_while_it_is_looked_up_denies_the_question():
    house = await bench()

    async def held(_effect: Any) -> None:
        await stop(house, Holdable("agent", "scout"))

    house.upstream.after = held
    asked = (await house.refund(6000)).approval
    assert asked is not None
    assert asked.state == "denied"
