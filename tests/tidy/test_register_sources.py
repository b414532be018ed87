"""Every table of the registers stands on the ledger's page, with the entries that it can be made again from."""

from __future__ import annotations

import re

import pytest

from answerable.core.ledger.tags import Tag
from tests.tidy.tree import ROOT, modules

PAGE = (ROOT / "docs/reference/wire/ledger.md").read_text()
TABLE = re.compile(r"(?:CREATE TABLE|RENAME TO) (?:IF NOT EXISTS )?(\w+)")
DROPPED = re.compile(r"(?:DROP TABLE|ALTER TABLE) (\w+)(?:\"| RENAME)")
OURS = {"authority_changes", "migrations", "projections", "touched"}
"""Which migrations a file has had, up to where it is true, and who wrote it."""
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", re.MULTILINE)


def there() -> set[str]:
    text = next(
        one.text for one in modules("src/answerable/adapters/sqlite") if one.name.endswith("migrations")
    )
    return set(TABLE.findall(text)) - set(DROPPED.findall(text)) - OURS | {"approvals"}


@pytest.mark.requirement("PROJECT-26")
def test_every_table_of_the_registers_says_which_entries_it_can_be_made_again_from():
    part = PAGE.partition("What each table of `answerable.db`")[2].partition("\n## ")[0]
    rows = {name: said for names, said in ROW.findall(part) for name in re.findall(r"`(\w+)`", names)}
    rows |= dict.fromkeys(re.findall(r"`(\w+)`: \*v\*", part), "*v*")
    assert set(rows) == there()
    for name, said in rows.items():
        tags = {int(number) for number in re.findall(r"\b(\d+)\b", said)}
        assert tags or "*v*" in said or said.startswith("all"), name
        assert tags <= {*Tag}, name
