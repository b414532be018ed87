"""What a line says of content, compared with what is recorded, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.attribution.content import (
    COMPARED,
    CUT,
    FIELDS,
    SAME,
    WHOLE,
    Recorded,
    Said,
    compared,
    statement_differs,
)
from answerable.core.attribution.log_line import LOG_KINDS
from answerable.core.attribution.recorded_content import AS_DIGEST, SEALED, recorded_content

pytestmark = pytest.mark.requirement("ATTRIBUTE-12")

SQL = "SELECT body\n  FROM cases"
RECORD = Recorded(
    {
        "statement": (SQL,),
        "rows": ("3",),
        "method": ("GET",),
        "path": ("/cases/7",),
        "bucket": ("cases",),
        "key": ("42/a",),
        "recipients": ("ada@example.com",),
    }
)
CASES: dict[str, tuple[Said, str]] = {
    "one recipient, two by the envelope": (
        Said("recipients", ("ada@example.com", "eve@example.com")),
        "recipients: 1 by our record, 2 by the log",
    ),
    "two by number": (Said("recipients", ("2",), "count"), "recipients: 1 by our record, 2 by the log"),
    "one by number": (Said("recipients", ("1",), "count"), ""),
    "another one": (Said("recipients", ("eve@example.com",)), "recipients: another one than is recorded"),
    "one of several deliveries": (
        Said("recipients", ("eve@example.com",), "some"),
        "recipients: one that is not recorded",
    ),
    "the same in another spelling": (Said("recipients", ("Ada@Example.COM",)), ""),
    "the path below the server's address": (Said("path", ("/api/cases/7",)), ""),
    "another path": (Said("path", ("/cases/71",)), "path: another one than is recorded"),
    "another method": (Said("method", ("DELETE",)), "method: another one than is recorded"),
    "another bucket": (Said("bucket", ("billing",)), "bucket: another one than is recorded"),
    "the same key": (Said("key", ("42/a",)), ""),
    "a key that was refused": (Said("key", ("43/a",), "some"), "key: one that is not recorded"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_difference_is_told_by_field_and_number_and_never_by_value(case: str) -> None:
    said, expected = CASES[case]
    found = compared([said], RECORD)
    assert [text for _, text in found.differs] == ([expected] if expected else [])
    assert found.same == (() if expected else (said.field,))
    assert not any(value in expected for value in said.values if not value.isdecimal())


def test_the_recorded_statement_is_among_those_of_a_log_that_has_them_all() -> None:
    def bits(*said: Said) -> int:
        found = 0
        for one in said:
            found |= compared([one], RECORD).statements
        return found

    other, end = Said("statement", ("DELETE FROM cases",)), Said("statement", ("COMMIT",))
    assert statement_differs(bits(other, end))
    # Of a log that may not have every statement nothing is said.
    assert not statement_differs(bits(other))
    assert bits(Said("statement", ("SELECT body FROM cases",)), end) == SAME | WHOLE
    assert bits(Said("statement", ("SELECT body",), "begin")) == SAME
    assert not statement_differs(bits(other, end, Said("statement", (), "cut")))
    assert bits(Said("statement", (), "cut")) == CUT


def test_rows_are_compared_where_the_line_has_the_recorded_statement() -> None:
    rows = Said("rows", ("9",))
    found = compared([Said("statement", (SQL,)), rows], RECORD)
    assert found.differs == (("rows", "rows: 3 by our record, 9 by the log"),)
    for said in ([Said("statement", ("SELECT 1",)), rows], [rows]):
        assert not compared(said, RECORD).differs


def test_what_one_side_lacks_is_not_compared_and_told_with_why() -> None:
    said = Said("path", ("/x",))
    assert compared([said], Recorded(missing="sealed")).lacking == (("path", "sealed"),)
    assert compared([said], Recorded()).lacking == (("path", "the record of this action has none"),)
    assert compared([], RECORD) == ((), (), (), 0)


def test_every_kind_that_says_something_of_content_is_declared() -> None:
    assert {*COMPARED} < {*LOG_KINDS}
    assert {name for fields in COMPARED.values() for name in fields} == {*FIELDS}


def opened(arguments: dict[str, object], target: str = "query", **context: object) -> dict[str, Any]:
    action = {"arguments": arguments, "method": "tools/call", "server": "s", "target": target}
    return {"action": action, "question": {"context": context}}


def answered(**content: object) -> dict[str, Any]:
    return {"result": {"structuredContent": content}}


@pytest.mark.parametrize(
    ("intent", "outcome", "values"),
    [
        (opened({"sql": SQL}), answered(rows=[[1]], cut=False), {"statement": (SQL,), "rows": ("1",)}),
        (opened({"sql": SQL}), answered(rows=[[1]], cut=True), {"statement": (SQL,)}),
        (opened({"sql": SQL}, "execute"), answered(changed=4), {"statement": (SQL,), "rows": ("4",)}),
        (opened({"sql": SQL}, "explain"), answered(), {}),
        (opened({"path": "/a", "method": "PUT"}), None, {"method": ("PUT",), "path": ("/a",)}),
        (
            opened({"service": "s3", "operation": "GetObject", "parameters": {"Bucket": "b", "Key": "k"}}),
            None,
            {"bucket": ("b",), "key": ("k",)},
        ),
        (opened({"command": "get", "arguments": ["k"]}), None, {"key": ("k",)}),
        (
            opened({"to": "x"}, destination={"type": "email", "names": ["a@b.example"]}),
            None,
            {"recipients": ("a@b.example",)},
        ),
        (opened({}, destination={"type": "host", "names": ["b.example"]}), None, {}),
    ],
)
def test_the_content_of_an_action_is_what_it_asked_and_got(
    intent: dict[str, Any], outcome: dict[str, Any] | None, values: dict[str, tuple[str, ...]]
) -> None:
    assert recorded_content(intent, outcome).values == values


def test_what_is_sealed_or_a_digest_is_missing_and_nothing_is_guessed() -> None:
    assert recorded_content(None, None).missing == SEALED
    assert recorded_content({"digest": "ab"}, None).missing == AS_DIGEST


@pytest.mark.parametrize(
    ("text", "state"), [("", CUT), ("SELECT body\ufffd", SAME), ("SELECT b", SAME), ("SELECT x\ufffd", 0)]
)
def test_the_begin_of_a_statement_may_end_anywhere(text: str, state: int) -> None:
    found = compared([Said("statement", (text,), "begin")], RECORD)
    assert found.statements == state
