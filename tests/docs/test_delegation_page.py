"""The page about chains of delegation lists what is read, and its example is a hop that our own code mints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from answerable.core.mandate import delegation_chain, delegation_terms, hop_token
from answerable.core.mandate.authority import CONSTRAINTS_MAX, SCOPES_MAX
from answerable.core.mandate.constraint import TYPES
from answerable.core.registry.documents.documents import DELEGATION_DEPTH_MAX
from answerable.testing.delegation import claims_in, three

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "wire" / "delegation.md").read_text()

pytestmark = pytest.mark.requirement("DELEG-03")


def rows_under(heading: str) -> tuple[str, ...]:
    section = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section is not None, heading
    return tuple(re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE))


def test_the_tables_list_all_claims_and_types() -> None:
    assert rows_under("A hop") == hop_token.CLAIMS
    assert rows_under("Types") == TYPES


def test_every_outcome_is_named_once_beside_its_step() -> None:
    table = PAGE.partition("| Step |")[2].partition("\n\n")[0]
    named = [word for row in table.splitlines() for word in re.findall(r"`(\w+)`", row.split("|")[-2])]
    assert sorted(named) == sorted(get_args(delegation_terms.Outcome))


def test_the_example_is_a_hop() -> None:
    header, claims = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    last = three()[2]
    assert claims == claims_in(last)
    assert header == dict(hop_token.read_raw(last).jws.header)


def test_the_bounds_are_those_of_the_code() -> None:
    for bound in (
        f"more than {hop_token.HOP_CHARS_MAX} characters",
        f"1 to {SCOPES_MAX} `scopes` and at most {CONSTRAINTS_MAX} `constraints`",
        f"at most {DELEGATION_DEPTH_MAX + 1} of them and {delegation_chain.CHAIN_CHARS_MAX} characters",
        f"at most {delegation_chain.DEPTH_USUAL} unless configured, at most {DELEGATION_DEPTH_MAX}",
        f"lasts {delegation_chain.OFFLINE_SECONDS_MAX} seconds at most",
        f"list of 1 to {hop_token.AUDIENCES_MAX} texts",
    ):
        assert bound in PAGE, bound
