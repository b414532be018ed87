"""The state diagram in the docs is the table in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.action.lifecycle import ENDS, TRANSITIONS, moved
from answerable.errors import Broken

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "follow-one-action.md"


@pytest.mark.requirement("WALK-03")
def test_state_diagram_in_the_docs_is_drawn_from_the_table() -> None:
    drawn = [line.strip() for line in PAGE.read_text().splitlines() if " --> " in line]
    rows = ["[*] --> received"] + [f"{a} --> {b}" for a, targets in TRANSITIONS.items() for b in targets]
    assert drawn == rows


@pytest.mark.requirement("WALK-03")
def test_every_path_ends_and_nothing_leaves_the_table() -> None:
    for state, targets in TRANSITIONS.items():
        assert targets or state in ENDS
        for target in targets:
            assert moved(state, target) == target
    with pytest.raises(Broken):
        moved("refused", "acting")
