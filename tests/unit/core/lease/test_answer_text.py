"""The text of an answer is all of it, or says that it is not."""

from __future__ import annotations

import json

import pytest

from answerable.core.lease.answer_text import TEXT_BYTES_MAX, answer_text

pytestmark = pytest.mark.requirement("BROKER-22")


def test_what_fits_is_the_same_json():
    content = {"columns": ["id"], "rows": [[1], ["ä"], [None]], "cut": False}
    assert json.loads(answer_text(content, summary="3 rows")) == content


def test_what_does_not_fit_is_a_sentence_and_no_part_of_it():
    room = TEXT_BYTES_MAX - len('{"rows":[[""]]}')
    assert json.loads(answer_text({"rows": [["x" * room]]}, summary="1 rows"))
    told = answer_text({"rows": [["x" * (room + 1)]]}, summary="1 rows")
    assert told.startswith("1 rows, in the structured content")
    assert "x" * 10 not in told
