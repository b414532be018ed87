"""The real server under Debian's faketime: its wall clock is set back while it runs, and over a restart."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from answerable.core.ledger.tags import Tag
from tests.interop.workload_clients import PYTHON_CLIENT
from tests.probes.loud_skips import skip_loudly
from tests.system.test_identity_resilience import HELPER, is_written_down, sidecar
from tests.worlds.up import SETTINGS, Attached, House, attached, house, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="libfaketime is loaded as Linux loads libraries"),
]
HOUR = 3_600
AHEAD_SECONDS = 30 * HOUR
"""More than a join token, an instance and a day's signing key live."""


class Wall:
    """The wall clock of one server, and of nobody else: the clock that never goes back stays as it is."""

    def __init__(self, place: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            skip_loudly("faketime", "apt-get install faketime", name="faketime")
        self._place = place
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(place),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        """To so many seconds from what it really is."""
        fresh = self._place.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._place)


def leaf(told: dict[str, Any]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(told["leaf"].encode())


def certificates(workload: Attached) -> list[x509.Certificate]:
    return [leaf(told) for told in workload.of("x509")]


async def said(home: House, text: str) -> None:
    await until(lambda: text in home.said, f"the server to say `{text}`")


@pytest.mark.requirement("TRUST-21", "TRUST-10", "TRUST-03")
async def test_a_clock_that_is_set_back_while_the_server_runs_undoes_nothing(tmp_path):
    wall = Wall(tmp_path / "faketime")
    async with house(tmp_path, SETTINGS) as home:
        home.more = wall.environment
        await home.start()
        await asyncio.to_thread(home.apply, HELPER)
        async with attached(home.api, "workload", *PYTHON_CLIENT) as workload:
            await workload.next_svid(0)
            await workload.token()
            sequence, states = home.sequence(), home.authorities()
            # 1. An hour back, the signing keys are not valid yet: nothing is signed, and nothing made in their place.
            wall.set(-HOUR)
            await said(home, "the clock was set back by")
            assert (await workload.asked("token billing"))["text"] == ""
            assert "set it right" in home.said
            fault = await asyncio.to_thread(home.command, "trust", "show")
            assert home.sequence() >= sequence, fault
            assert home.authorities() == states
            # 2. Right again, all goes on by itself.
            wall.set(0)
            await until_signed(workload)
            # 3. A little back is within what authorities are dated back: what is issued does not begin before they do.
            count = len(workload.serials)
            wall.set(-20)
            await workload.next_svid(count)
            assert home.sequence() >= sequence
            assert home.authorities() == states
            held = certificates(workload)
            roots = [x509.load_pem_x509_certificate(one.encode()) for one in workload.svid["roots"]]
            assert all(one.not_valid_before_utc >= roots[0].not_valid_before_utc for one in held)
            assert len(set(workload.serials)) == len(workload.serials)
        await home.stop(signal.SIGTERM)
        is_written_down(home, [workload])


async def until_signed(workload: Attached) -> None:
    for _ in range(100):
        if (await workload.asked("token billing"))["text"]:
            return
        await asyncio.sleep(0.1)
    pytest.fail("nothing was signed any more")


@pytest.mark.requirement("TRUST-21", "TRUST-10", "ENROL-06", "ATTEST-04")
async def test_what_had_ended_before_the_clock_was_set_back_over_a_restart_stays_ended(tmp_path):
    wall = Wall(tmp_path / "faketime")
    async with house(tmp_path, SETTINGS) as home:
        home.more = wall.environment
        await home.start()
        joins = HELPER.replace("]]", '], ["join_token:name:late"]]')
        await asyncio.to_thread(home.apply, joins)
        token = await asyncio.to_thread(home.command, "agent", "join-token", "helper", "--label", "late")
        place = tmp_path / "token"
        place.touch(mode=0o600)
        (secret,) = re.findall(r"ajt_[A-Za-z0-9_-]{43}", token)
        place.write_text(secret)
        join = ("--join-token", f"file:{place}", "--gateway", home.tcp)
        async with sidecar(home) as agent:
            assert (await agent.asked("sub"))["status"] == 201
            # 1. A day and more later everything has ended: the instance, and the token, which is shown once too late.
            wall.set(AHEAD_SECONDS)
            await until(lambda: not home_instances(home), "the instance to end")
            refused = await asyncio.to_thread(
                home.command, "agent", "up", "--agent", "helper", *join, "--", "true", code=3
            )
            assert "join token" in refused
            sequence = home.sequence()
            await asyncio.to_thread(home.apply, joins.replace("purpose: ", "purpose: always "))
            # 2. The clock is back, over a restart: neither comes to life again.
            await home.stop(signal.SIGTERM)
            wall.set(0)
            await home.start()
            await said(home, "behind the newest entry of the ledger")
            assert home.sequence() >= sequence
            # Refused, or by then the sidecar has come back under another name, below which the sub-agent is.
            assert (await agent.asked("sub"))["status"] in {401, 201}
            join = ("--join-token", f"file:{place}", "--gateway", home.tcp)
            refused = await asyncio.to_thread(
                home.command, "agent", "up", "--agent", "helper", *join, "--", "true", code=3
            )
            assert "join token" in refused
            # The process, whose time had run out, may come back; then under another name and key.
            live = await asyncio.to_thread(home.command, "agent", "instances", "--json")
            ended = agent.of("ready")[0]["instance"]
            assert ended not in live
        await home.stop(signal.SIGTERM)
        entries = home.entries(Tag.WORKLOAD_ENROLLED)
        assert len([one for one in entries if one["parent"] == ended]) == 1, "the one of before its end"
        enrolled = [one for one in entries if not one["parent"]]
        assert {one["source"] for one in enrolled} == {"unix"}
        assert (
            len({one["key"] for one in enrolled})
            == len({one["instance"] for one in enrolled})
            == len(enrolled)
        )


def home_instances(home: House) -> list[Any]:
    return json.loads(home.command("agent", "instances", "--json"))
