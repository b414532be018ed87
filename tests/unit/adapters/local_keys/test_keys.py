"""The server's key is made on the first start and found on every other."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from answerable.adapters.local_keys import open_key, open_or_create_key
from answerable.adapters.system import SystemEntropy
from answerable.errors import Unavailable


@pytest.mark.requirement("PROOF-10")
def test_the_first_start_makes_the_key_and_every_other_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "deep" / "log.jwk"
    with ThreadPoolExecutor(8) as pool:
        thumbprints = list(
            pool.map(lambda _: open_or_create_key(path, entropy=SystemEntropy()).public.thumbprint, range(8))
        )
    assert set(thumbprints) == {open_key(path).public.thumbprint}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.requirement("PROOF-10")
def test_an_exposed_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jwk"
    open_or_create_key(path, entropy=SystemEntropy(), algorithm="ecdsa-p256-sha256")
    path.chmod(0o644)
    with pytest.raises(Unavailable) as caught:
        open_or_create_key(path, entropy=SystemEntropy())
    assert caught.value.code == "key.exposed"


def test_a_place_where_nothing_can_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable):
        open_or_create_key(tmp_path / "file" / "log.jwk", entropy=SystemEntropy())
    (tmp_path / "none").symlink_to(tmp_path / "nowhere" / "deep")
    for path in (tmp_path / "none" / "log.jwk", tmp_path / "none" / "more" / "log.jwk"):
        with pytest.raises(Unavailable) as caught:
            open_or_create_key(path, entropy=SystemEntropy())
        assert caught.value.code == "key.unwritable"
