"""Two doors: the command line, the control API and the offline verifier give one answer to one question."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator

import pytest

from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, prepare, still
from tests.seams.life import Life, life

REACH = ("entries", "complete_at", "missing")
"""Up to where an answer is complete: the ledger may go on between two questions."""


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    with life() as one:
        prepare(one)
        yield one


@pytest.mark.requirement("SEAM-09")
@column("two doors")
def test_the_command_line_says_what_the_control_api_says(lived: Life, row: Feature):
    kept, (words, path, code) = lived.kept[row.name], row.doors
    found = lived.told(path.format_map(kept))
    shown = json.loads(lived.printed(*shlex.split(words.format_map(kept)), "--json", code=code))
    listed = found["items"] if isinstance(found, dict) and "items" in found else found
    if isinstance(shown, dict):
        listed = {name: value for name, value in listed.items() if name not in REACH}
        # The command adds what it asked for besides.
        shown = {name: value for name, value in {**shown.get("hold", {}), **shown}.items() if name in listed}
    assert shown == listed
    still(lived, row)


@pytest.mark.requirement("SEAM-09")
def test_every_decision_of_a_life_is_derived_again_as_it_was_made(lived: Life):
    """Each refusal and each intent, by the same policies, mandates and approvals."""
    found = json.loads(lived.printed("decision", "replay", "--all", "--json"))
    assert found["counts"]["same"] > len(FEATURES)
    assert "differs" not in found["counts"], found["decisions"]


@pytest.mark.requirement("SEAM-09")
def test_a_stranger_tells_from_a_copy_what_the_server_tells(lived: Life):
    copy = lived.root / "copy"
    lived.command("ledger", "seal")
    shutil.copytree(lived.home.data / "ledger", copy, ignore=shutil.ignore_patterns("lock", "spare"))
    action = lived.kept["search and story"]["action"]
    here = json.loads(lived.printed("timeline", action, "--json"))["lines"]
    there = json.loads(lived.printed("timeline", action, "--ledger", str(copy), "--json"))["lines"]
    assert [(one["index"], one["kind"]) for one in there] == [(one["index"], one["kind"]) for one in here]
