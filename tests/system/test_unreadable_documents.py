"""A real `up` on registers of which a document, or a row of the trust domain, cannot be read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.system.test_unreadable_rows import damage
from tests.worlds.shard_house import House, made_house


@pytest.fixture
def house() -> Iterator[House]:
    with made_house() as made:
        made.without_witness()
        made.command("a", "apply", "-f", str(made.world.registry))
        yield made


def documents(house: House) -> dict[object, object]:
    with closing(sqlite3.connect(house.data / "answerable.db")) as registers:
        registers.text_factory = bytes
        return dict(registers.execute("SELECT key, body FROM documents"))


DOCUMENTS = {
    "no text": "UPDATE documents SET body = x'00ff' WHERE key = 'Agent/support-agent'",
    "no document": "UPDATE documents SET body = x'7b7d' WHERE key = 'Principal/ada'",
    "no name": "UPDATE documents SET key = CAST(x'ff' AS TEXT) WHERE key = 'Agent/support-agent'",
}
AUTHORITIES = {
    "certificate": "UPDATE authorities SET certificate = x'00ff'",
    "key": "UPDATE authorities SET jwt_jwk = '{}'",
    "id": "UPDATE authorities SET id = CAST(x'ff' AS TEXT)",
    "sequence": "UPDATE trust_domain SET sequence = -1",
    "beginning": "UPDATE trust_domain SET beginning = CAST(x'ff' AS TEXT)",
}


@pytest.mark.requirement("READBACK-06")
def test_a_document_that_cannot_be_read_is_made_again_from_the_ledger_and_named(house: House) -> None:
    before = documents(house)
    for what, damaged in DOCUMENTS.items():
        damage(house, damaged)
        assert documents(house) != before, what
        with house.up("a") as a:
            a.says("could not be read and were restored from the ledger")
            a.acted(house.issue("a"))
        assert documents(house) == before, what


def authorities(house: House) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(house.data / "answerable.db")) as registers:
        query = "SELECT number, id, state, certificate, jwt_kid, jwt_jwk, wit_jwk, not_after FROM authorities"
        return registers.execute(query).fetchall()


@pytest.mark.requirement("READBACK-07")
def test_a_row_of_the_trust_domain_that_cannot_be_read_is_made_again_and_named(house: House) -> None:
    with house.up("a"):
        before = authorities(house)
        published = bundle(house)
    assert len(before) == 1
    for what, damaged in AUTHORITIES.items():
        damage(house, damaged)
        with house.up("a") as a:
            told = "of the trust domain could not be read and was restored from the ledger"
            a.says(told)
            assert authorities(house) == before, what
            assert bundle(house)["keys"] == published["keys"], what


def bundle(house: House) -> dict[str, Any]:
    found = json.loads(house.command("a", "trust", "bundle").stdout)
    assert isinstance(found, dict)
    return found
