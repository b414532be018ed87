"""Tokens of a broker that was killed: nobody has them, and the next broker says what may live and until when."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from answerable.adapters.http_target import outstanding
from answerable.adapters.http_target.kind import built
from answerable.adapters.http_target.outstanding import OutstandingTokens
from answerable.core.lease.name import lease_name
from answerable.errors import Refused, Unavailable
from answerable.targets.kind import BuiltTarget
from answerable.testing.clock import ManualClock
from tests.stand_ins.authorization_server import AuthorizationServer, authorization_server
from tests.worlds.http_target import SECRETS, oauth_settings, order, world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HTTPLEASE-11")]
NAME = lease_name(bytes(16))


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


def target_on(
    server: AuthorizationServer, kept: Path, clock: ManualClock | None = None, *, is_named: bool = True
) -> BuiltTarget:
    """is_named: whether the settings name the file; otherwise it is the broker's own."""
    if is_named:
        return built(oauth_settings(server, tokens_file=str(kept)), world(SECRETS, clock=clock))
    return built(oauth_settings(server), replace(world(SECRETS, clock=clock), state_file=kept))


def _killed(server: AuthorizationServer, kept: Path, told: Connection, revoked: bool, is_named: bool) -> None:
    async def act() -> None:
        target = target_on(server, kept, is_named=is_named)
        credentials = [await target.issuer.issue(order(number)) for number in (1, 2)]
        if revoked:
            await target.issuer.revoke(credentials[1].lease)
        told.send([one.secret.reveal("token") for one in credentials])
        os.kill(os.getpid(), signal.SIGKILL)

    anyio.run(act)


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("revoked", [False, True])
async def test_a_killed_brokers_tokens_are_named_by_the_next_until_they_end(
    server: AuthorizationServer, tmp_path: Path, revoked: bool, is_named: bool
) -> None:
    kept = tmp_path / "tokens"
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_killed, args=(server, kept, there, revoked, is_named)
    )
    process.start()
    tokens = await anyio.to_thread.run_sync(here.recv)
    await anyio.to_thread.run_sync(process.join)
    assert process.exitcode == -signal.SIGKILL
    assert server.introspected(tokens[0])["active"] is True, "it lives, and nobody has it"
    clock = ManualClock(round(time.time() * 1000))
    target = target_on(server, kept, clock, is_named=is_named)
    left = {order(1).name} if revoked else {order(1).name, order(2).name}
    assert set(await target.issuer.live()) == left
    found = await target.issuer.revoke(order(1).name)
    assert not found.is_gone
    assert "nobody has it" in found.left[0]
    assert 3_590_000 < found.live_until - clock.now() <= 3_600_000, "no later than tokens can live at all"
    assert (await target.issuer.revoke(order(2).name)).is_gone == revoked
    with pytest.raises(Refused) as taken:
        await target.issuer.issue(order(1))
    assert taken.value.code == "lease.taken"
    clock.advance(3_601)
    assert (await target.issuer.revoke(order(1).name)).is_gone
    assert await target.issuer.live() == ()
    assert not [token for token in tokens if token in _content(kept)]


async def test_a_name_is_on_disk_before_the_server_is_asked(
    server: AuthorizationServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "tokens"
    target = target_on(server, kept)

    def full(path: Path, line: str, durable: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outstanding, "_append", full)
    with pytest.raises(Unavailable) as failed:
        await target.issuer.issue(order())
    assert (failed.value.code, failed.value.effect) == ("lease.target", "none")
    monkeypatch.undo()
    await target.issuer.issue(order())
    assert _content(kept).startswith(order().name)


async def test_a_line_that_was_cut_off_is_dropped_and_a_file_of_others_is_not_touched(tmp_path: Path) -> None:
    kept = tmp_path / "tokens"
    _put(kept, f"{NAME} 2000\n{lease_name(bytes(15) + bytes([1]))} 20")
    tokens = OutstandingTokens(kept)
    assert await tokens.left(1_000) == {NAME: 2_000}
    await tokens.begun(NAME, 3_000)
    assert await OutstandingTokens(kept).left(1_000) == {NAME: 3_000}
    for odd in ("not ours\n", f"{NAME} -1\n", f"{NAME} x\n", "\n", "\u00e4\n"):
        _put(kept, odd)
        with pytest.raises(Unavailable) as refused:
            await OutstandingTokens(kept).left(0)
        assert refused.value.code == "lease.target"
        assert _content(kept) == odd


async def test_the_file_does_not_grow_with_what_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outstanding, "LINES_MAX", 10)
    kept = tmp_path / "tokens"
    tokens = OutstandingTokens(kept)
    await tokens.begun(NAME, 10_000)
    for number in range(1, 50):
        name = lease_name(number.to_bytes(16, "big"))
        await tokens.begun(name, 10_000)
        await tokens.gone(name)
    assert len(_content(kept).splitlines()) <= 12
    assert await OutstandingTokens(kept).left(0) == {NAME: 10_000}


async def test_without_a_file_nothing_is_kept_or_claimed() -> None:
    tokens = OutstandingTokens(None)
    await tokens.begun(NAME, 1_000)
    assert json.dumps(await tokens.left(0)) == "{}"


def _content(kept: Path) -> str:
    return kept.read_text()


def _put(kept: Path, content: str) -> None:
    kept.write_text(content)
