"""What an outcome seals of how it ended."""

from __future__ import annotations

import json
import os

import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records_actions
from answerable.core.ledger.disclosure import Sealing, opened_fields
from answerable.core.ledger.entry import Receipt
from answerable.core.ledger.subject_key import SubjectKey


@pytest.mark.requirement("HOUSE-42")
@pytest.mark.parametrize(
    ("detail", "result", "sealed"),
    [
        ("", b"{}", {"result": b"{}"}),
        ("late", b"{}", {"detail": b'"late"', "result": b"{}"}),
        ("late", b"", {"detail": b'"late"'}),
        ("", b"", {"detail": b'""'}),
    ],
)
def test_an_outcome_seals_an_empty_detail_only_where_it_has_nothing_else_to_seal(detail, result, sealed):
    key = SubjectKey(id=bytes(16), secret=bytes(32))
    entry = records_actions.outcome(
        Outcome(status="succeeded", detail=detail),
        at=UnixMillis(1),
        sealing=Sealing(key=key, random=os.urandom),
        run=None,
        action_id="a",
        intent=Receipt(index=7, leaf_hash=bytes(32)),
        result=result,
        result_digest="",
    )
    assert {one.name: bytes(one.value) for one in opened_fields(entry.attachment, key)} == sealed
    assert len(json.loads(entry.leaf)["_sd"]) == len(sealed)
