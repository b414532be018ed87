"""Agents that bring an identity of others, from enrolment through Cedar to the ledger and its story."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from tests.brought_world import acted, documents
from tests.interop.programs import go_workload_api
from tests.up_world import SETTINGS, House, house

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the sidecar keeps its keys by Linux's means"),
]
THEIRS = "theirs.example"
NAME = f"spiffe://{THEIRS}/crm/desk"


class TheirApi:
    """The Workload API of go-spiffe in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def told(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        assert self._line() == "done"


@contextmanager
def their_api() -> Iterator[TheirApi]:
    command = [str(go_workload_api()), THEIRS, NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield TheirApi(process)
        process.terminate()


async def believing(home: House, domain: str) -> None:
    """Until the bundle of this domain is here."""

    def believed() -> bool:
        shown = json.loads(home.command("trust", "show", "--json"))
        return any(one["trust_domain"] == domain and one["state"] == "ok" for one in shown["federated"])

    while not await asyncio.to_thread(believed):  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.2)


def evidence_of(home: House, tag: Tag) -> list[Any]:
    return [(one.get("agent"), one.get("evidence"), one.get("instance")) for one in home.entries(tag)]


@pytest.mark.requirement("BYO-04", "BYO-01", "FED-12")
async def test_a_workload_of_a_foreign_spiffe_source_acts_as_policy_says_of_its_evidence(tmp_path):
    with their_api() as api:
        settings = SETTINGS + f'federation = ["{THEIRS} workload_api {api.address}"]\n'
        async with house(tmp_path, settings) as home:
            await home.start()
            await asyncio.to_thread(home.apply, documents(home.root, desk=[[f"spiffe:id:{NAME}"]]))
            await believing(home, THEIRS)
            told = await acted(home, "desk", "--spiffe-socket", api.address)
            who = told["who"]
            assert (who["source"], who["grade"]) == ("spiffe", "gateway")
            assert who["instance"].startswith("spiffe://answerable.local/agent/desk/")
            assert (told["read"]["refused"], told["noted"]["refused"]) == (False, False)
            assert told["sub"]["instance"] == f"{who['instance']}/sub-1"
            story = await asyncio.to_thread(home.command, "timeline", told["mandate"])
            assert "shown by spiffe, measured by the gateway" in story
            assert who["instance"] in story
            await home.stop(signal.SIGTERM)
            evidence = {"grade": "gateway", "source": "spiffe"}
            assert evidence_of(home, Tag.INTENT) == [("desk", evidence, who["instance"])] * 2
