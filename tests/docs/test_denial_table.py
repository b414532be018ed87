"""The page of the gateway lists the reasons of a no as they are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from answerable.core.approval.reasons import REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "mcp-gateway.md").read_text()


@pytest.mark.requirement("REPLY-02")
def test_the_table_lists_all_reasons_with_what_helps_next() -> None:
    section = PAGE[PAGE.index("| Reason | `retry` | `advice` |") :].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(one.code, one.retry, one.advice) for one in REASONS.values()]
