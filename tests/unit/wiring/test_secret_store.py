"""References of target files to the store of secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.errors import Malformed, Refused
from answerable.wiring.secret_store import open_secrets, secrets_of
from answerable.wiring.settings import load_settings


def test_a_target_file_refers_to_the_store_and_each_reading_is_on_record(tmp_path: Path):
    settings = load_settings(tmp_path)
    resolved = secrets_of(settings)
    with pytest.raises(Malformed) as none:
        resolved("store:crm")
    assert none.value.code == "secret.reference"
    store = open_secrets(settings)
    store.put("crm", b"sk-live-4242", kind="static", owner="ann", about="", rotate_days=0)
    assert resolved("store:crm") == b"sk-live-4242"
    store.rotate("crm", b"sk-live-4343")
    assert resolved("store:crm") == b"sk-live-4343"
    assert [(use.by, use.count) for use in store.uses("crm")] == [("target settings", 2)]
    with pytest.raises(Refused):
        resolved("store:gone")
    file = tmp_path / "broker/targets/password"
    file.parent.mkdir()
    file.write_bytes(b"other")
    assert resolved("file:password") == b"other"
    with pytest.raises(Malformed):
        resolved("sk-live-4242")
