"""What the spec of a MandateTemplate must look like."""

from __future__ import annotations

import pytest

from tests.worlds.registry import check_fault


@pytest.mark.parametrize(
    ("name", "path", "value", "at", "code", "says"),
    [
        ("one-case", ["spec", "grants"], [], "/spec/grants", "template.grants", "at least one"),
        ("one-case", ["spec", "purpose"], "{case} {", "/spec/purpose", "template.placeholder", "brace"),
        (
            "one-case",
            ["spec", "purpose"],
            "{case} {cse}",
            "/spec/purpose",
            "template.placeholder",
            "did you mean `case`?",
        ),
        (
            "one-case",
            ["spec", "parameters", 0, "pattern"],
            "[0-9",
            "/spec/parameters/0/pattern",
            "document.pattern",
            "not a regular expression",
        ),
        (
            "one-case",
            ["spec", "parameters", 0, "type"],
            "string_set",
            "/spec/parameters/0/type",
            "document.choice",
            "",
        ),
        (
            "one-case",
            ["spec", "parameters"],
            [{"name": "case", "pattern": "."}, {"name": "unused", "pattern": "."}],
            "/spec/parameters/1",
            "template.parameter_unused",
            "used nowhere",
        ),
        (
            "one-case",
            ["spec", "parameters"],
            [{"name": "case", "pattern": "."}, {"name": "case", "pattern": "."}],
            "/spec/parameters/1/name",
            "document.duplicate",
            "declared twice",
        ),
        (
            "one-case",
            ["spec", "grants", 0, "arguments"],
            {"case": "{"},
            "/spec/grants/0/arguments/case",
            "template.placeholder",
            "",
        ),
        (
            "one-case",
            ["spec", "grants", 0, "arguments"],
            {"case": None},
            "/spec/grants/0/arguments/case",
            "document.type",
            "got nothing",
        ),
        (
            "one-case",
            ["spec", "grants", 0, "arguments"],
            {"x": 2**53},
            "/spec/grants/0/arguments/x",
            "document.range",
            "2^53",
        ),
        (
            "one-case",
            ["spec", "grants", 0, "arguments"],
            {"a b": 1},
            "/spec/grants/0/arguments/a b",
            "document.pattern",
            "",
        ),
        (
            "one-case",
            ["spec", "grants", 1, "maxima"],
            {"amount": "9"},
            "/spec/grants/1/maxima/amount",
            "document.type",
            "",
        ),
        (
            "one-case",
            ["spec", "grants", 1, "maxima"],
            {"a b": 9},
            "/spec/grants/1/maxima/a b",
            "document.pattern",
            "",
        ),
        ("one-case", ["spec", "ttlSeconds"], 90 * 86400 + 1, "/spec/ttlSeconds", "document.range", ""),
    ],
)
def test_each_fault_says_where_and_what(name, path, value, at, code, says):
    check_fault(name, path, value, at, code, says)
