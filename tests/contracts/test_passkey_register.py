"""The contract suite of passkeys, and what only a file shared by processes can get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister, SqliteStore
from answerable.core.identity.people.invitation import invitation_code
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.passkey_register import (
    INVITATIONS_MAX,
    PASSKEYS_MAX,
    DurablePasskeyRegisterContract,
    sample_invitation,
    sample_passkey,
)

pytestmark = pytest.mark.requirement("PASSKEY-02")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


def register_in(store: SqliteStore) -> SqlitePasskeyRegister:
    return SqlitePasskeyRegister(store, passkeys_max=PASSKEYS_MAX, invitations_max=INVITATIONS_MAX)


class TestSqlitePasskeyRegister(DurablePasskeyRegisterContract):
    def opened(self, tmp_path: Path) -> SqlitePasskeyRegister:
        return register_in(store_in(tmp_path))


def test_what_another_process_did_counts_here_at_once_or_at_the_next_refresh(tmp_path):
    here, there = store_in(tmp_path), store_in(tmp_path)
    first, second = register_in(here), register_in(there)
    second.add(sample_passkey())
    assert first.find(sample_passkey().id) is None
    assert here.refresh()
    assert first.find(sample_passkey().id) == sample_passkey()
    assert second.count_up(sample_passkey().id, 4)
    assert not first.count_up(sample_passkey().id, 4)
    second.invite(sample_invitation())
    assert second.use_invitation(sample_invitation().digest, now=START) is not None
    assert first.use_invitation(sample_invitation().digest, now=START) is None
    second.remove(sample_passkey().id, at=START)
    assert not first.count_up(sample_passkey().id, 5)
    assert first.find(sample_passkey().id) is None


def test_the_file_holds_no_code(tmp_path):
    register = register_in(store_in(tmp_path))
    register.invite(sample_invitation())
    content = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    assert sample_invitation().digest in content
    assert invitation_code(bytes(16)).encode() not in content


def test_a_closed_file_takes_and_grants_nothing(tmp_path):
    store = store_in(tmp_path)
    register = register_in(store)
    register.add(sample_passkey())
    register.invite(sample_invitation())
    store.close()
    for call in (
        lambda: register.add(sample_passkey("key")),
        lambda: register.count_up(sample_passkey().id, 9),
        lambda: register.use_invitation(sample_invitation().digest, now=START),
    ):
        with pytest.raises(Unavailable):
            call()
