"""One refresh token in the broker's hands: rotated durably, one at a time, and given up when somebody else used it."""

from __future__ import annotations

import json
import multiprocessing
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest

from answerable.adapters.http_target import custody as custody_module
from answerable.adapters.http_target.custody import RefreshCustody
from answerable.adapters.http_target.kind import built
from answerable.errors import Unavailable
from answerable.targets.kind import BuiltTarget
from tests.stand_ins.authorization_server import SECRET, AuthorizationServer, authorization_server
from tests.worlds.http_target import SECRETS, oauth_settings, order, world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HTTPLEASE-10")]


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture
def kept(server: AuthorizationServer, tmp_path: Path) -> Path:
    path = tmp_path / "refresh"
    path.touch(0o600)
    path.write_text(server.tell(refresh=True)["refresh"] + "\n")
    return path


def target_on(server: AuthorizationServer, kept: Path) -> BuiltTarget:
    settings = oauth_settings(
        server,
        auth="refresh_token",
        refresh_token_file=str(kept),
        revocation_url="",
        is_introspected=False,
    )
    return built(settings, world(SECRETS))


def shown(kept: Path) -> str:
    return kept.read_text()


def mode_of(kept: Path) -> int:
    return stat.S_IMODE(kept.stat().st_mode)


def made(folder: Path, mode: int, content: bytes) -> tuple[Path, Path]:
    """A file, and a link to it."""
    kept, link = folder / "refresh", folder / "link"
    kept.write_bytes(content)
    kept.chmod(mode)
    link.symlink_to(kept)
    return kept, link


def put(kept: Path, token: str) -> None:
    kept.write_text(token)


def held(kept: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(kept.read_bytes())
    return found


async def test_each_exchange_leaves_the_next_token_alone_in_the_file(
    server: AuthorizationServer, kept: Path
) -> None:
    first = shown(kept).strip()
    target = target_on(server, kept)
    seen = {first}
    for number in (1, 2, 3):
        await target.issuer.issue(order(number))
        after = held(kept)
        assert after["state"] == "ready"
        assert after["refresh_token"] not in seen
        seen.add(after["refresh_token"])
    assert mode_of(kept) == 0o600
    assert server.introspected(after["refresh_token"])["active"] is True


async def test_a_server_that_does_not_rotate_is_served_as_well(
    server: AuthorizationServer, kept: Path
) -> None:
    first = shown(kept).strip()
    server.tell(rotate=False)
    try:
        await target_on(server, kept).issuer.issue(order())
        assert held(kept) == {"refresh_token": first, "state": "ready"}
    finally:
        server.tell(rotate=True)


async def test_who_asks_at_once_takes_turns(server: AuthorizationServer, kept: Path) -> None:
    one, other = target_on(server, kept), target_on(server, kept)
    async with anyio.create_task_group() as tasks:
        for number in range(1, 9):
            tasks.start_soon((one if number % 2 else other).issuer.issue, order(number))
    assert held(kept)["state"] == "ready"
    assert len(await one.issuer.live()) + len(await other.issuer.live()) == 8


async def test_a_token_that_somebody_else_used_is_given_up_and_not_shown_again(
    server: AuthorizationServer, kept: Path
) -> None:
    target = target_on(server, kept)
    stolen = shown(kept).strip()
    form = {"grant_type": "refresh_token", "refresh_token": stolen}
    taken = httpx2.post(
        server.token_url, data=form, auth=("broker", SECRET.replace(" ", "+")), trust_env=False, timeout=30
    )
    assert taken.status_code == 200
    with pytest.raises(Unavailable) as refused:
        await target.issuer.issue(order())
    assert "used elsewhere" in refused.value.message
    assert stolen not in refused.value.message
    # The server ends what the thief got, too (RFC 9700, section 4.14.2).
    assert server.introspected(taken.json()["refresh_token"]) == {"active": False}
    assert held(kept)["state"] == "refused"
    server.tell(stop=True)
    try:
        with pytest.raises(Unavailable) as again:
            await target.issuer.issue(order(2))
        assert "consent anew" in again.value.message, "the server was not asked"
    finally:
        server.tell(start=True)
    put(kept, server.tell(refresh=True)["refresh"])
    await target.issuer.issue(order(3))


async def test_a_server_that_is_away_costs_no_consent(server: AuthorizationServer, kept: Path) -> None:
    target = target_on(server, kept)
    server.tell(stop=True)
    try:
        with pytest.raises(Unavailable) as away:
            await target.issuer.issue(order())
        assert away.value.effect == "none"
    finally:
        server.tell(start=True)
    assert held(kept)["state"] == "ready"
    await target.issuer.issue(order())


@pytest.mark.parametrize("write", [1, 2])
async def test_a_kill_at_either_write_loses_nothing_that_was_acknowledged(
    server: AuthorizationServer, kept: Path, write: int
) -> None:
    before = shown(kept).strip()
    killed = multiprocessing.get_context("fork").Process(target=_killed_at, args=(server, kept, write))
    killed.start()
    await anyio.to_thread.run_sync(killed.join)
    assert killed.exitcode == -9
    target = target_on(server, kept)
    if write == 1:
        # Nothing was on disk, nothing was sent: the token is as good as before.
        assert before in shown(kept)
        await target.issuer.issue(order())
        return
    # The server had rotated; what it made died with the process before anybody used it, and that is said.
    assert held(kept) == {"refresh_token": before, "state": "asked"}
    with pytest.raises(Unavailable) as lost:
        await target.issuer.issue(order())
    assert "cut off" in lost.value.message


def _killed_at(server: AuthorizationServer, kept: Path, write: int) -> None:
    import os
    import signal

    written = 0
    replace = custody_module._replace

    def dying(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written == write:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(path, content)

    custody_module._replace = dying
    anyio.run(target_on(server, kept).issuer.issue, order())


async def test_what_cannot_be_written_is_not_used_and_not_lost(
    server: AuthorizationServer, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_on(server, kept)
    replace, written = custody_module._replace, 0

    def full(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written == 2:
            raise OSError(28, "No space left on device")
        replace(path, content)

    monkeypatch.setattr(custody_module, "_replace", full)
    with pytest.raises(Unavailable) as full_disk:
        await target.issuer.issue(order())
    assert "no space left" in full_disk.value.message
    await target.issuer.issue(order(2))
    assert held(kept)["state"] == "ready"


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        (0o640, b"token"),
        (0o604, b"token"),
        (0o600, b""),
        (0o600, b"{}"),
        (0o600, b'{"refresh_token":""}'),
        (0o600, b"\xff"),
    ],
)
async def test_a_file_that_is_not_the_brokers_own_is_not_used(
    tmp_path: Path, mode: int, content: bytes
) -> None:
    kept, link = made(tmp_path, mode, content)

    async def never(refresh: str) -> tuple[int, bytes]:
        raise AssertionError("it was shown")

    with pytest.raises(Unavailable) as odd:
        await RefreshCustody(kept).exchanged(never, seconds_max=1)
    assert odd.value.code == "lease.target"
    with pytest.raises(Unavailable):
        await RefreshCustody(link).exchanged(never, seconds_max=1)
