"""Claims about what an agent sees of an answer under obligations."""

from __future__ import annotations

import json

import pytest

from answerable.core.decision.obligation import duties_of
from answerable.core.decision.shown_answer import COPIES_MAX, MASK, REDACTED, shown_answer

pytestmark = pytest.mark.requirement("OBL-06")

SECRET = "maria@example.com"
IBAN = "DE89370400440532013000"


def text(value):
    return {"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}


METHODS = {"contents": "resources/read", "messages": "prompts/get", "completion": "completion/complete"}


def shown(result, *obligations, method=""):
    """method: that which answers like this, if not given."""
    method = method or next((METHODS[name] for name in METHODS if name in result), "tools/call")
    return shown_answer(result, duties_of(obligations), method=method, target="crm://cases/4711")


def documents(result):
    """The text blocks that are JSON, and those that are our own words."""
    made, told = [], []
    for part in result["content"]:
        try:
            made.append(json.loads(part["text"]))
        except ValueError:
            told.append(part["text"])
    return made, told


def test_structured_content_is_shown_once_in_both_forms_without_the_value():
    customer = {"name": "Maria", "email": SECRET, "iban": IBAN}
    result, said = shown(
        {"content": [text(customer)], "structuredContent": customer}, "redact:/email", "mask:/iban"
    )
    wanted = {"name": "Maria", "email": REDACTED, "iban": f"{MASK}3000"}
    assert result["structuredContent"] == wanted
    assert documents(result) == ([wanted], [])
    assert said == "redacted 1 value, masked 1 value"


def test_rows_are_capped_before_the_fields_in_them_are_hidden():
    rows = [{"email": f"p{number}@example.com", "id": number} for number in range(10)]
    result, said = shown({"content": [text({"rows": rows})]}, "rows_max:/rows=3", "redact:/rows/*/email")
    (document,), told = documents(result)
    assert document == {"rows": [{"email": REDACTED, "id": number} for number in range(3)]}
    assert told == ["[by policy: redacted 3 values, left out 7 rows]"]
    assert "left out 7 rows" in said


def test_a_list_as_the_whole_document_can_be_capped():
    result, _ = shown({"content": [text([1, 2, 3])]}, "rows_max:2")
    assert documents(result)[0] == [[1, 2]]
    result, said = shown({"content": [text({"result": [1, 2, 3]})]}, "rows_max:2")
    assert documents(result)[0] == []
    assert "no list" in said


@pytest.mark.parametrize(
    "result",
    [
        {"content": [text({"E-Mail": SECRET})]},
        {"content": [text({"customer": {"email": SECRET}})]},
        {"content": [text([{"email": SECRET}])]},
        {"content": [text(f"the address is {SECRET}")]},
        {"content": [text(json.dumps(json.dumps({"email": SECRET})))]},
        {"content": [text(f'{{"email": "x"}} {SECRET}')]},
        {"content": [text(f"email: {SECRET}\n")]},
        {"content": [{"type": "image", "data": SECRET, "mimeType": "image/png"}]},
        {"content": [{"type": "resource_link", "uri": "crm://x", "name": SECRET}]},
        {"content": [{"type": "resource", "resource": {"uri": "crm://x", "blob": SECRET}}]},
        {"content": [{"type": "resource", "resource": {"uri": "crm://x", "text": SECRET}}]},
        {"content": [{"type": "novel", "text": SECRET}]},
        {"content": [SECRET]},
        {"content": SECRET},
        {"content": [], "structuredContent": {"mail": SECRET}},
        {"content": [], "structuredContent": [SECRET]},
        {"content": [], "structuredContent": SECRET},
        {"content": [text("failed")], "isError": True, "structuredContent": {"detail": SECRET}},
        {"content": [text(f"no mail to {SECRET}")], "isError": True},
        {"content": [], "_meta": {"email": SECRET}},
        {"content": [{**text({"email": "x"}), "_meta": {"copy": SECRET}}]},
        {"content": [{**text({"email": "x"}), "annotations": {"audience": [SECRET]}}]},
        {"novel": SECRET},
        {"email": SECRET},
        {"completion": {"values": [SECRET]}},
        {"contents": [{"uri": f"crm://{SECRET}", "text": json.dumps({"email": "x"})}]},
        {"contents": [{"uri": "crm://x", "text": SECRET}]},
        {"contents": [{"uri": "crm://x", "blob": SECRET}]},
        {"messages": [{"role": SECRET, "content": text({"email": "x"})}], "description": SECRET},
        {"messages": [{"role": "user", "content": text(SECRET)}]},
        {"content": [text(json.dumps({"email": "x", "deep": 1})[:-1] + ', "email": "' + SECRET + '"}')]},
    ],
)
def test_a_field_in_another_place_spelling_or_form_does_not_get_through(result):
    for method in (
        "",
        "tools/call",
        *METHODS.values(),
        "resources/subscribe",
        "subscriptions/listen",
        "novel",
    ):
        made, _ = shown(result, "redact:/email", method=method)
        assert SECRET not in json.dumps(made)
        assert not set(made) - {
            "content", "structuredContent", "isError", "contents", "messages", "completion",
        }  # fmt: skip


def test_what_was_withheld_is_said_to_agent_and_people():
    result, said = shown({"content": [text("free words"), text({"mail": SECRET})]}, "redact:/email")
    documents_made, told = documents(result)
    assert documents_made == []
    assert told == [f"[by policy: {said}]"]
    assert said == (
        "withheld 2 parts: its text is no JSON, in which fields could be found; `/email` is not there"
    )
    error, _ = shown({"content": [text("boom")], "isError": True}, "redact:/email")
    assert error["isError"] is True


def test_a_member_of_a_list_without_the_field_withholds_the_list_unless_it_may_lack_it():
    rows = [{"email": SECRET}, {"Email": SECRET}, {"id": 1}]
    result, _ = shown({"content": [text({"rows": rows})]}, "redact:/rows/*/email")
    assert documents(result)[0] == []
    rows = [{"email": SECRET}, {"id": 1}, {"email": None}]
    result, _ = shown({"content": [text({"rows": rows})]}, "redact:/rows/*/email?")
    assert documents(result)[0] == [{"rows": [{"email": REDACTED}, {"id": 1}, {"email": REDACTED}]}]


def test_a_place_that_may_be_empty_is_still_withheld_when_it_has_another_shape():
    for odd in ({"customer": SECRET}, {"customer": [SECRET]}, {"customer": 5}):
        result, _ = shown({"content": [text(odd)]}, "redact:/customer/email?")
        assert documents(result)[0] == []
    for none in ({"customer": None}, {"customer": {}}, {}):
        result, _ = shown({"content": [text(none)]}, "redact:/customer/email?")
        assert documents(result)[0] == [none]


def test_a_hidden_value_is_hidden_wherever_else_the_document_says_it():
    document = {
        "email": SECRET,
        "phone": 491701234567,
        "note": f"write to {SECRET} or call 491701234567",
        "by_mail": {SECRET: {"seen": True}, f"x {SECRET}": None, REDACTED: 1},
        "numbers": [491701234567, 7],
    }
    result, _ = shown({"content": [text(document)]}, "redact:/email", "mask:/phone")
    (made,), _ = documents(result)
    assert SECRET not in json.dumps(made)
    assert "491701234567" not in json.dumps(made)
    assert made["note"] == f"write to {REDACTED} or call {MASK}4567"
    assert made["numbers"] == [f"{MASK}4567", 7]
    assert list(made["by_mail"]) == [REDACTED, f"x {REDACTED}", f"{REDACTED}'"]


def test_a_whole_branch_can_be_hidden_and_its_leaves_with_it():
    document = {"address": {"street": "Hauptstrasse 5", "city": "Bonn"}, "label": "Hauptstrasse 5, Bonn"}
    result, _ = shown({"content": [text(document)]}, "redact:/address")
    assert documents(result)[0] == [{"address": REDACTED, "label": f"{REDACTED}, {REDACTED}"}]


def test_places_inside_of_one_another_are_all_found():
    document = {"address": {"street": "Hauptstrasse 5"}, "x": 1}
    result, _ = shown({"content": [text(document)]}, "redact:/address/street", "mask:/address")
    assert documents(result)[0] == [{"address": MASK, "x": 1}]


def test_short_values_switches_and_nothing_are_hidden_too():
    document = {"pin": "123", "ok": True, "none": None, "n": 5}
    result, _ = shown({"content": [text(document)]}, "redact:/pin", "redact:/ok", "redact:/none", "mask:/n")
    (made,), _ = documents(result)
    assert made == {"pin": REDACTED, "ok": REDACTED, "none": REDACTED, "n": MASK}
    result, _ = shown(
        {"content": [text({"ok": True, "none": None, "a": [1]})]}, "mask:/ok", "mask:/none", "mask:/a"
    )
    assert documents(result)[0] == [{"ok": MASK, "none": MASK, "a": MASK}]


def test_a_mask_leaves_four_characters_of_a_long_value_and_none_of_a_short_one():
    document = {"a": "1234567", "b": "12345678", "c": 12345678}
    result, _ = shown({"content": [text(document)]}, "mask:/a", "mask:/b", "mask:/c")
    assert documents(result)[0] == [{"a": MASK, "b": f"{MASK}5678", "c": f"{MASK}5678"}]


def test_members_of_objects_and_places_in_lists_can_be_pointed_at():
    document = {"by_id": {"1": {"mail": SECRET}, "2": {"mail": SECRET}}, "two": ["a", SECRET]}
    result, _ = shown({"content": [text(document)]}, "redact:/by_id/*/mail", "redact:/two/1")
    (made,), _ = documents(result)
    assert made == {"by_id": {"1": {"mail": REDACTED}, "2": {"mail": REDACTED}}, "two": ["a", REDACTED]}
    for index in ("2", "-1", "x", "01x"):
        result, _ = shown({"content": [text(document)]}, f"redact:/two/{index}")
        assert documents(result)[0] == []


def test_parts_beside_structured_content_are_withheld_unless_they_say_the_same():
    customer = {"email": SECRET}
    result, said = shown(
        {"content": [text(customer), text(f"mail {SECRET}")], "structuredContent": customer}, "redact:/email"
    )
    assert SECRET not in json.dumps(result)
    assert result["structuredContent"] == {"email": REDACTED}
    assert "withheld 1 part" in said


def test_resources_and_prompts_are_made_anew():
    result, _ = shown(
        {"contents": [{"uri": "crm://x", "text": json.dumps({"email": SECRET})}]}, "redact:/email"
    )
    (part,) = result["contents"]
    assert part == {
        "mimeType": "application/json", "text": f'{{"email":"{REDACTED}"}}', "uri": "crm://cases/4711",
    }  # fmt: skip
    result, _ = shown(
        {"messages": [{"role": "assistant", "content": text({"email": SECRET})}, "odd"]}, "redact:/email"
    )
    (message,) = result["messages"]
    assert message["role"] == "assistant"
    assert json.loads(message["content"]["text"]) == {"email": REDACTED}
    result, _ = shown({"contents": ["odd", {"uri": "x", "text": "y"}]}, "redact:/email")
    assert result["contents"][-1]["text"].startswith("[by policy: withheld 2 parts")


def test_more_values_than_can_be_looked_for_are_withheld():
    rows = [{"email": f"p{number}@example.com"} for number in range(COPIES_MAX + 1)]
    result, said = shown({"content": [text({"rows": rows})]}, "redact:/rows/*/email")
    assert documents(result)[0] == []
    assert "cap its rows" in said
    result, _ = shown(
        {"content": [text({"rows": rows})]}, "redact:/rows/*/email", f"rows_max:/rows={COPIES_MAX}"
    )
    assert len(documents(result)[0][0]["rows"]) == COPIES_MAX


def test_what_is_nested_too_deeply_or_no_json_at_all_is_withheld():
    deep = {"email": "x" * 8}
    inner = deep
    for _ in range(500):
        inner["more"] = {}
        inner = inner["more"]
    inner["copy"] = "x" * 8
    result, _ = shown({"content": [], "structuredContent": deep}, "redact:/email")
    assert "xxxxxxxx" not in json.dumps(result)
    nested = "[" * 100_000 + "]" * 100_000
    result, _ = shown({"content": [text(nested)]}, "redact:/email")
    assert documents(result)[0] == []
    result, said = shown(
        {"content": [], "structuredContent": {"email": "abcd", "odd": object()}}, "redact:/email"
    )
    assert documents(result)[0] == []
    assert "looked through" in said
    looped = {"email": "abcd"}
    looped["self"] = looped
    result, _ = shown({"content": [], "structuredContent": looped}, "redact:/email")
    assert documents(result)[0] == []


def test_a_hidden_branch_or_the_rest_beside_it_that_is_too_deep_is_withheld():
    def deep() -> dict[str, object]:
        value: dict[str, object] = {"leaf": "abcdefgh"}
        for _ in range(70):
            value = {"in": value}
        return value

    for document in ({"secret": deep()}, {"secret": "abcdefgh", "rest": deep()}):
        result, said = shown({"content": [text(document)]}, "redact:/secret")
        assert documents(result)[0] == []
        assert "nested too deeply" in said


def test_what_a_method_answers_is_shown_in_the_form_of_that_method_and_of_no_other():
    other = {"contents": [{"uri": "crm://x", "text": '{"email": "x"}'}], "content": []}
    made, _ = shown(other, "redact:/email", method="tools/call")
    assert set(made) == {"content"}
    assert shown({}, "redact:/email", method="resources/subscribe") == ({}, "")
    assert shown({"_meta": {"a": 1}}, "redact:/email", method="subscriptions/listen") == ({}, "")
    made, said = shown({"odd": SECRET}, "redact:/email", method="resources/subscribe")
    assert made == {}
    assert "no fields that could be found" in said
