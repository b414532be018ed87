"""Who may make or destroy keys of the trust domain: one process at a time, and none where that cannot be held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.errors import Unavailable
from answerable.wiring.identity_lock import alone
from answerable.wiring.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_where_the_lock_cannot_be_opened_nobody_is_alone(tmp_path: Path):
    (tmp_path / "keys" / "identity.lock").mkdir(parents=True)
    with pytest.raises(Unavailable) as told, alone(load_settings(tmp_path)):
        pytest.fail("nobody may change keys here")
    assert told.value.code == "authority_keys.lock"
    assert str(tmp_path / "keys" / "identity.lock") in told.value.message
