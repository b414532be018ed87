"""What others read keeps its words, whatever things are called in the code."""

from __future__ import annotations

import json

import msgspec
import pytest

from wire_words import STORED, _members, wire_words

FILES_READ = ("src/answerable/**/*", "tests/vectors/answerable/wire_words.json")
pytestmark = pytest.mark.requirement("HOUSE-04")


def test_members_columns_and_entries_are_called_what_they_were_called() -> None:
    stored, found = json.loads(STORED.read_text(encoding="utf-8")), wire_words()
    for what in stored.keys() | found.keys():
        assert found[what] == stored[what], (
            f"{what}: written anew by `python tools/wire_words.py`, if it is meant"
        )


def test_a_renamed_member_is_another_word_and_one_that_keeps_its_word_is_none() -> None:
    class Before(msgspec.Struct):
        in_place_of: str

    class Renamed(msgspec.Struct):
        on_behalf_of: str

    class Kept(msgspec.Struct, rename={"on_behalf_of": "in_place_of"}, tag="kept"):
        on_behalf_of: str

    assert [_members(one) for one in (Before, Renamed, Kept)] == [
        "in_place_of",
        "on_behalf_of",
        "<kept> in_place_of",
    ]
