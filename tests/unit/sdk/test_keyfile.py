"""Key files on a real file system."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from answerable.core.identity.keys.keys import SEED_BYTES, Algorithm, public_key, verify_signature
from answerable.errors import Malformed, Unavailable
from answerable.sdk.keyfile import create_key, load_key, public_jwk

SEED = bytes(range(32))


def refused(path: Path) -> str:
    with pytest.raises((Unavailable, Malformed)) as caught:
        load_key(path)
    return caught.value.code


@pytest.mark.requirement("PROOF-10")
@pytest.mark.parametrize("algorithm", list(SEED_BYTES))
def test_a_new_key_file_is_private_whole_and_reads_back(tmp_path: Path, algorithm: Algorithm) -> None:
    path = tmp_path / "agent.jwk"
    old = os.umask(0)
    try:
        key = create_key(path, seed=bytes(range(SEED_BYTES[algorithm])), algorithm=algorithm)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    loaded = load_key(path)
    verify_signature(key.public, b"m", loaded.sign(b"m"))
    assert public_key(public_jwk(loaded)) == key.public
    assert "d" in json.loads(path.read_text())
    assert "d" not in json.loads(public_jwk(loaded))


@pytest.mark.requirement("PROOF-10")
def test_a_key_file_is_never_overwritten_even_when_many_race(tmp_path: Path) -> None:
    path = tmp_path / "agent.jwk"

    def create(number: int) -> str:
        try:
            return create_key(path, seed=bytes([number]) * 32).public.thumbprint
        except Unavailable as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(8)))
    assert outcomes.count("key.exists") == 7
    assert load_key(path).public.thumbprint in outcomes
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.requirement("PROOF-10")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o602, 0o610, 0o777])
def test_a_key_file_that_others_could_touch_is_not_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "agent.jwk"
    create_key(path, seed=SEED)
    path.chmod(mode)
    assert refused(path) == "key.exposed"


@pytest.mark.requirement("PROOF-10")
def test_a_secret_is_in_no_message(tmp_path: Path) -> None:
    path = tmp_path / "agent.jwk"
    create_key(path, seed=SEED)
    secret = json.loads(path.read_text())["d"]
    path.write_text(path.read_text().replace('"x":"', '"x":"A'))
    with pytest.raises(Malformed) as caught:
        load_key(path)
    assert secret not in str(caught.value)
    assert secret[:8] not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "json"),
        (b"\xff", "key.content"),
        (b"x" * 5000, "key.size"),
        (b"{}", "key.not_private"),
        (
            b'{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',
            "key.not_private",
        ),
    ],
)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "agent.jwk"
    path.touch(mode=0o600)
    path.write_bytes(content)
    assert refused(path).startswith(code)


@pytest.mark.requirement("WORDS-10")
@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"{}", b"x" * 5000])
def test_a_damaged_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.jwk"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(Malformed, match=r"key file `log\.jwk`"):
        load_key(path)


def test_what_is_missing_or_no_file_is_said_so_and_does_not_hang(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing.jwk") == "key.missing"
    assert refused(tmp_path) == "key.unreadable"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert refused(tmp_path / "pipe") == "key.unreadable"


def test_a_directory_that_is_missing_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        create_key(tmp_path / "none" / "agent.jwk", seed=SEED)
    assert caught.value.code == "key.unwritable"
