"""An upstream that says a hidden value more than once: in another part of its answer, or under a milder obligation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.core.decision.obligation import duties_of, obligations_in
from answerable.core.decision.shown_answer import PARTS_MAX, shown_answer

pytestmark = pytest.mark.requirement("OBL-06")
MAIL = "maria@example.com"


METHODS = {"content": "tools/call", "contents": "resources/read", "messages": "prompts/get"}


def show(result: Any, annotation: str) -> str:
    method = METHODS[next(iter(result))]
    made, _ = shown_answer(result, duties_of(obligations_in(annotation)), method=method, target="crm://1")
    return json.dumps(made)


def texts(*documents: Any) -> list[Any]:
    return [{"type": "text", "text": json.dumps(one)} for one in documents]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("form", ["content", "contents", "messages"])
def test_a_value_that_is_hidden_in_one_part_is_hidden_in_all_parts(form: str, first: bool):
    there, copy = {"email": MAIL}, {"note": f"write to {MAIL}"}
    parts = texts(*((there, copy) if first else (copy, there)))
    if form == "contents":
        parts = [{"uri": "crm://1", "text": one["text"]} for one in parts]
    if form == "messages":
        parts = [{"role": "user", "content": one} for one in parts]
    shown = show({form: parts}, "redact:/email?")
    assert "maria" not in shown
    assert shown.count("[redacted]") == 2


@pytest.mark.parametrize(
    "document", [{"a": MAIL, "z": MAIL, "note": MAIL}, {"z": MAIL, "a": MAIL, "note": MAIL}]
)
@pytest.mark.parametrize("annotation", ["redact:/a; mask:/z", "redact:/z; mask:/a"])
def test_a_copy_of_what_one_hides_and_another_masks_is_hidden(document: Any, annotation: str):
    shown = json.loads(json.loads(show({"content": texts(document)}, annotation))["content"][0]["text"])
    assert shown["note"] == "[redacted]"


def test_a_copy_of_what_is_masked_inside_of_something_hidden_is_hidden():
    document = {"customer": {"iban": "DE02120300000000202051"}, "note": "DE02120300000000202051"}
    shown = show({"content": texts(document)}, "redact:/customer; mask:/customer/iban")
    assert "2051" not in shown


def test_parts_beyond_those_that_are_looked_at_are_left_out_and_that_is_said():
    content = texts(*[{"email": MAIL}] * (PARTS_MAX + 3))
    for form in ("content", "contents"):
        parts = content if form == "content" else [{"uri": "crm://1", "text": one["text"]} for one in content]
        shown = show({form: parts}, "redact:/email")
        assert "maria" not in shown
        assert "withheld 3 parts" in shown
