"""The real server, killed while it announces: what a person revoked reaches both kinds of receivers all the same."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from answerable.core.canonical import parse
from answerable.testing.samples import document, signing_key
from tests.stand_ins.ports import free_port
from tests.worlds.event import EventClient, announcing, receiving
from tests.worlds.up import PEOPLE, SETTINGS, House, until

pytestmark = pytest.mark.anyio
PUSH = "urn:ietf:rfc:8935"
ROUNDS = 3


def receiver(name: str) -> str:
    spec = {
        "useCase": "support",
        "environment": "production",
        "keys": [parse(signing_key(name).public.jwk.encode())],
        "ownership": OWNED,
    }
    return "---\n" + json.dumps(document("Agent", name, spec)) + "\n"


OWNED = {
    "owner": "ada",
    "backupOwner": "bela",
    "approverGroup": "leads",
    "auditLevel": "full",
    "reviewDate": "2099-01-01",
}


@pytest.mark.requirement("SSF-11")
async def test_what_is_revoked_reaches_receivers_that_poll_and_are_pushed_to_whenever_the_server_is_killed(
    tmp_path: Path,
):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    keys: list[Any] = []
    with receiving(lambda: keys, issuer=url, audience="soc") as pushed:
        settings = SETTINGS.replace("port = 0", f"port = {port}")
        house = House(tmp_path, settings + announcing("siem", f"soc {pushed.url}"))
        polls, pushes = (EventClient(SimpleNamespace(url=url), name) for name in ("siem", "soc"))
        await house.start()
        house.apply(PEOPLE + receiver("siem") + receiver("soc"))
        keys += (await polls.ask("GET", "/ssf/jwks")).json()["keys"]
        name = (await polls.made())["stream_id"]
        delivery = {"method": PUSH, "endpoint_url": pushed.url}
        await pushes.made(delivery=delivery)
        heard, acks = [], []
        for number in range(ROUNDS):
            await anyio.to_thread.run_sync(house.command, "revoke", "token", f"t-{number}", "--yes")
            await house.stop(signal.SIGKILL)
            await house.start()
            events = await polls.events(name, ack=acks)
            heard += [one["sub_id"]["jti"] for one in events.values()]
            acks = [*events]
        assert heard == [f"t-{number}" for number in range(ROUNDS)]
        await until(lambda: len({one["jti"] for one in pushed.tokens}) == ROUNDS, "the last event")
        # At least once, each under one id, first times in order.
        assert [*dict.fromkeys(one["sub_id"]["jti"] for one in pushed.tokens)] == heard
        assert len({one["jti"] for one in pushed.tokens}) == ROUNDS
        said = json.loads(await anyio.to_thread.run_sync(house.command, "streams", "--json"))
        assert [(one["receiver"], one["method"], one["status"], one["waiting"]) for one in said] == [
            ("siem", "poll", "enabled", 1),
            ("soc", "push", "enabled", 0),
        ]
        await house.stop(signal.SIGTERM)


@pytest.mark.requirement("HOOK-04")
async def test_a_server_does_not_start_with_a_webhook_whose_secret_is_none(tmp_path: Path):
    (tmp_path / "secret").write_text("hunter2")
    line = f'"ops https://hooks.example/x file:{tmp_path / "secret"} stops"'
    house = House(tmp_path, SETTINGS + f"[announcing]\nwebhooks = [{line}]\n")
    said = await house.refused()
    assert "webhook `ops`" in said
    assert "whsec_" in said
    assert "hunter2" not in said
    # Nobody is kept from stopping anything by it.
    house.apply(PEOPLE)
    assert json.loads(house.command("revoke", "token", "t-1", "--yes", "--json"))["new"]
