"""The contract suite of deliveries, and what only a file shared by processes can get wrong."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteDeliveryRegister, SqliteStore
from answerable.testing.contracts.delivery_register import (
    DELIVERIES_MAX,
    DurableDeliveryRegisterContract,
    sample_delivery,
)

pytestmark = pytest.mark.requirement("CHANNEL-01")


def register_in(directory):
    store = SqliteStore.open(directory / "state" / "registers.db")
    return SqliteDeliveryRegister(store, deliveries_max=DELIVERIES_MAX)


class TestSqliteDeliveryRegister(DurableDeliveryRegisterContract):
    def opened(self, tmp_path):
        return register_in(tmp_path)


def test_what_another_process_told_is_seen_at_the_next_call(tmp_path):
    here, there = register_in(tmp_path), register_in(tmp_path)
    here.open("email", now=0)
    assert there.claim("email", now=0, until=10)
    assert not here.claim("email", now=0, until=10)
    there.keep([sample_delivery()])
    assert here.of("a-1") == (sample_delivery(),)
