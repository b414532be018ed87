"""The real server with its signing keys in SoftHSM's token, which is used, rotated, locked away and brought back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.workload_clients import PYTHON_CLIENT
from tests.worlds.trust import PIN, TOKEN, hsm_library, new_token
from tests.worlds.up import (
    IDENTITY_KEYS,
    SETTINGS,
    Attached,
    House,
    attached,
    house,
    openssl_believes,
    registry,
    until,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's"),
]
HELPER = registry(helper=[[f"unix:uid:{os.geteuid()}"]])
WRONG_PIN = "975318642"


def settings(tmp_path: Path, **changed: str) -> str:
    """Settings of a server with its keys in the test's token, whose PIN is in a file of its own."""
    place = tmp_path / "pin"
    place.touch(mode=0o600)
    place.write_text(PIN + "\n")
    found = {
        "pkcs11_module": str(hsm_library()),
        "pkcs11_token": TOKEN,
        "pkcs11_pin": f"file:{place}",
    } | changed
    return SETTINGS + "".join(f"{name} = {json.dumps(value)}\n" for name, value in found.items())


def all_said(root: Path) -> str:
    return "".join(place.read_text() for place in root.glob("said-*"))


@contextlib.asynccontextmanager
async def with_hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changed: str) -> AsyncIterator[House]:
    wanted = settings(tmp_path, **changed)
    new_token(tmp_path, monkeypatch)
    async with house(tmp_path, wanted) as home:
        yield home
    assert PIN not in all_said(tmp_path)


def objects(tmp_path: Path) -> int:
    """How many keys and halves of keys the token holds."""
    return len(list((tmp_path / "tokens").rglob("*.object"))) - len(
        list((tmp_path / "tokens").rglob("token.object"))
    )


def shown_of(process: int) -> str:
    """What everybody of this machine, and everybody of this user, may see of a process."""
    return "".join(
        Path(f"/proc/{process}/{name}").read_bytes().decode("utf-8", "replace")
        for name in ("cmdline", "environ")
    )


def nothing_in_files(home: House) -> bool:
    place = home.data / IDENTITY_KEYS
    return not place.exists() or not any(place.iterdir())


async def issued_by_hsm(workload: Attached, count: int = 0) -> None:
    """It gets another SVID, which OpenSSL believes, and a token that its own library believes."""
    svid = await workload.next_svid(count)
    assert await asyncio.to_thread(openssl_believes, svid["leaf"], svid["roots"])
    await workload.token()


@pytest.mark.requirement("TRUST-20", "TRUST-07", "TRUST-08", "RESIL-13")
async def test_a_server_signs_rotates_and_starts_again_with_its_keys_in_an_hsm(tmp_path, monkeypatch):
    async with with_hsm(tmp_path, monkeypatch) as home:
        await home.start()
        await asyncio.to_thread(home.apply, HELPER)
        assert home.process is not None
        assert PIN not in shown_of(home.process.pid)
        (old,) = home.authorities()
        assert objects(tmp_path) == 6, "an X.509, a JWT and a WIT key, two halves each"
        async with attached(home.api, "workload", *PYTHON_CLIENT) as workload:
            await issued_by_hsm(workload)
            name = workload.svid["id"]
            # 1. Another generation of keys, made in the token.
            await asyncio.to_thread(home.command, "trust", "rotate", "--now", "--yes")
            states = home.authorities()
            (new,) = states.keys() - {old}
            assert (states[old], states[new]) == ("old", "active")
            await issued_by_hsm(workload, 1)
            # 2. A restart finds them there, and a kill leaves none behind.
            for how in (signal.SIGTERM, signal.SIGKILL):
                count = len(workload.serials)
                await home.stop(how)
                await home.start()
                await issued_by_hsm(workload, count)
                assert home.authorities() == states
            assert workload.svid["id"] == name
            # 3. What is withdrawn is destroyed in the token.
            count = len(workload.serials)
            await asyncio.to_thread(home.command, "trust", "remove", old, "--yes")
            await issued_by_hsm(workload, count)
            await until(lambda: objects(tmp_path) == 6, "the old keys to be destroyed")
        assert nothing_in_files(home)
        shown = await asyncio.to_thread(home.command, "trust", "show", "--json")
        assert PIN not in shown


@pytest.mark.requirement("TRUST-20")
@pytest.mark.parametrize(
    ("changed", "says", "advises"),
    [
        ({"pkcs11_pin": "file:{home}/wrong"}, "rejects this PIN", "pkcs11_pin"),
        ({"pkcs11_pin": "file:{home}/nowhere"}, "secret file", "cannot be read"),
        ({"pkcs11_pin": PIN}, "pkcs11_pin", "file:PATH"),
        ({"pkcs11_token": "another"}, "`another`", "pkcs11_token"),
        ({"pkcs11_module": "/usr/lib/no-such-hsm.so"}, "no-such-hsm.so", "pkcs11_module"),
    ],
)
async def test_an_hsm_that_cannot_be_used_opens_no_door_and_says_what_to_do(
    changed, says, advises, tmp_path, monkeypatch
):
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text(WRONG_PIN)
    changed = {name: value.format(home=tmp_path) for name, value in changed.items()}
    async with with_hsm(tmp_path, monkeypatch, **changed) as home:
        said = await home.refused()
        assert says in said
        assert advises in said
        assert "Traceback" not in said
        assert "gateway " not in said
        assert WRONG_PIN not in said
        # No keys in files in its place, and nothing in the token.
        assert nothing_in_files(home)
        assert objects(tmp_path) == 0


@pytest.mark.requirement("TRUST-20", "TRUST-08")
async def test_an_hsm_that_is_gone_while_the_server_runs_signs_nothing_until_it_is_back(
    tmp_path, monkeypatch
):
    async with with_hsm(tmp_path, monkeypatch) as home:
        await home.start()
        await asyncio.to_thread(home.apply, HELPER)
        (only,) = home.authorities()
        async with attached(home.api, "workload", *PYTHON_CLIENT) as workload:
            await issued_by_hsm(workload)
            tokens, away = tmp_path / "tokens", tmp_path / "away"
            tokens.rename(away)
            # 1. Nothing is signed, neither for who is there nor for who comes.
            assert (await workload.asked("token billing"))["text"] == ""
            fault = await asyncio.to_thread(home.command, "trust", "rotate", "--now", "--yes", code=1)
            assert "HSM" in fault or "token" in fault
            assert not home.has_ended()
            # 2. What is held counts as before.
            assert await asyncio.to_thread(openssl_believes, workload.svid["leaf"], workload.svid["roots"])
            # 3. Who starts without it says so, and makes no other authority.
            await home.stop(signal.SIGTERM)
            said = await home.refused()
            assert "connect the HSM" in said
            assert "gateway " not in said
            away.rename(tokens)
            count = len(workload.serials)
            await home.start()
            await issued_by_hsm(workload, count)
            assert [*home.authorities()] == [only]


@pytest.mark.requirement("TRUST-20")
async def test_an_hsm_that_comes_back_signs_again_without_a_restart(tmp_path, monkeypatch):
    async with with_hsm(tmp_path, monkeypatch) as home:
        await home.start()
        await asyncio.to_thread(home.apply, HELPER)
        async with attached(home.api, "workload", *PYTHON_CLIENT) as workload:
            await issued_by_hsm(workload)
            tokens, away = tmp_path / "tokens", tmp_path / "away"
            tokens.rename(away)
            assert (await workload.asked("token billing"))["text"] == ""
            away.rename(tokens)
            for _ in range(50):
                if (await workload.asked("token billing"))["text"]:
                    break
                await asyncio.sleep(0.1)
            else:
                pytest.fail(home.said)
            count = len(workload.serials)
            await asyncio.to_thread(home.command, "trust", "rotate", "--now", "--yes")
            await issued_by_hsm(workload, count)
