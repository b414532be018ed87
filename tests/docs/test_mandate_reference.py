"""The page about mandate tokens lists the claims and caveats that are read, and its example is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from answerable.core.approval import token as approval_token
from answerable.core.mandate import token as mandate_token
from answerable.core.mandate.caveat import TAGS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "wire" / "mandate.md").read_text()

pytestmark = pytest.mark.requirement("MANDATE-02")


def rows_under(heading: str) -> tuple[str, ...]:
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section is not None, heading
    return tuple(re.findall(r"^\| `?(\w+)`? \|", section[1], re.MULTILINE))[1:]


def test_the_tables_list_all_claims_and_tags() -> None:
    claims = [*mandate_token.MANDATE.table()]
    assert rows_under("Mandate") == tuple(one.name for one in claims if one.needed)
    assert rows_under("What a mandate may also say") == tuple(one.name for one in claims if not one.needed)
    assert rows_under("Answer to an approval") == approval_token.AnswerClaims.__struct_fields__
    assert rows_under("Caveats") == tuple(str(tag) for tag in TAGS)


def test_the_types_of_statements_are_named() -> None:
    assert mandate_token.MANDATE_TYP in PAGE
    assert approval_token.APPROVAL_TYP in PAGE


def test_the_example_is_a_mandate() -> None:
    claims = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    terms = mandate_token.terms_of(claims)
    assert mandate_token.claims_of(terms, audience=claims["aud"]) == claims
