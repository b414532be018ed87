"""What `timeline`, `search` and `scope` say of a question that has no answer, or more than one form."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.worlds.searched_files import lived, ran

pytestmark = pytest.mark.requirement("SEARCH-06")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("asked") / "data"
    asyncio.run(lived(place, place / "ledger"))
    return place


@pytest.mark.requirement("STORY-03")
def test_a_name_that_is_not_in_that_time_is_no_unknown_one_and_an_unknown_one_beside_others_is_named(
    data: Path,
) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    for narrowed, rest in (
        (("--since", "2030-01-01"), "in that time"),
        (("until:2000-01-01",), "in that time"),
        (("outcome:open", "since:2000-01-01"), "that meets all of the question"),
    ):
        told = ran("scout", *narrowed, *place, verb="timeline", code=1).stderr
        assert f"the ledger has entries about `scout`, and none {rest} (complete up to entry" in told
        told = ran("nobody", *narrowed, *place, verb="timeline", code=1).stderr
        assert "the ledger has no entry about `nobody` (complete up to entry" in told
    both = ran("m-1", "nobody", "nothing", *place, verb="timeline")
    assert "is                a mandate\n" in both.stdout
    assert "the ledger has no entry about `nobody`, `nothing` (complete up to entry" in both.stderr
    found = json.loads(ran("m-1", "nobody", *place, "--json", verb="timeline").stdout)
    assert (bool(found["lines"]), found["unknown"]) == (True, ["nobody"])
    bare = ran("m-1", "alice", "--ledger", str(data / "ledger"), verb="timeline").stderr
    assert "what can be read without keys has no entry about `alice`" in bare


def test_an_empty_window_and_two_forms_of_output_are_refused_and_not_answered_with_none(data: Path) -> None:
    place = ("--ledger", str(data / "ledger"), "--keys", str(data))
    for verb, words in (("search", ()), ("timeline", ("scout",)), ("scope", ())):
        told = ran(*words, "--since", "1h", "--until", "2h", *place, verb=verb, code=1).stderr
        assert "the time that is searched ends before it begins" in told
        ran(*words, "--since", "9000w", "--until", "1h", *place, verb=verb)
    for verb in ("search", "scope"):
        both = ran("--csv", "--json", *place, verb=verb, code=2)
        assert ("give either --json or --csv" in both.stderr, both.stdout) == (True, "")
    both = ran("list", "--csv", "--json", *place, verb="account", code=2)
    assert ("give either --json or --csv" in both.stderr, both.stdout) == (True, "")
