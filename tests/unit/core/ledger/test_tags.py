"""Numbers of entries are for ever: ledgers that others hold are read by them."""

from __future__ import annotations

import re

from answerable.core.ledger import tags
from answerable.core.ledger.tags import Tag


def test_each_kind_of_entry_has_the_number_that_is_documented_and_no_other_kind_has_it() -> None:
    documented = re.findall(r"^\| (\d+) +\| [\d-]+ \| (\w+) *\|", tags.__doc__ or "", re.MULTILINE)
    assert {name.upper(): int(number) for number, name in documented} == dict(Tag.__members__)
    assert len(set(Tag.__members__.values())) == len(Tag.__members__)
