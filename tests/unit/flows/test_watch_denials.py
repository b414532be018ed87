"""Which noes of people count: one for each round of questions, whatever the clock says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.flows.counters.watch_denials import is_new_round
from answerable.testing.samples import approval

ASKED, NO = 1_000, 2_000


@pytest.mark.parametrize(
    ("asked", "before", "at", "counts"),
    [
        (ASKED, 0, NO, True),
        (NO, NO, NO + 1, True),
        (NO + 1, NO, NO + 2, True),
        (NO - 1, NO, NO + 1, False),
        (ASKED, NO, NO, False),
        (ASKED, NO, NO - 1, True),
    ],
    ids=[
        "the first no",
        "asked in the moment of the last one",
        "asked after the last one",
        "asked just before the last one",
        "said in the same millisecond as the last one",
        "said when the clock had been set back",
    ],
)
def test_a_no_counts_once_for_what_was_asked_before_it(asked, before, at, counts):
    waiting = replace(approval(), created_at=UnixMillis(asked))
    assert is_new_round(waiting, before, at) is counts
