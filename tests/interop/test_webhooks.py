"""Our messages to webhooks, judged by the libraries of those who specify them."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from collections.abc import Mapping

import anyio
import pytest

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.message_webhook import MessageWebhook
from answerable.adapters.system import SystemClock
from answerable.core.approval.message import trial_message
from answerable.core.mandate.revocation import revocable
from answerable.flows.events.deliver_events import deliver_events
from answerable.flows.ledger.announce import announce_new
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.builders import Bench
from tests.interop.programs import ACCEPTED, IN_WEBHOOKS, REFUSED, RUN_SECONDS_MAX, webhooks
from tests.worlds.event import ISSUER, SECRET, desk_on, hooked, stream

pytestmark = pytest.mark.anyio
THEIRS = "whsec_" + b64encode(SECRET).decode()


def judged(headers: Mapping[str, str], body: bytes, secret: str = THEIRS) -> subprocess.CompletedProcess[str]:
    message = json.dumps({"headers": dict(headers), "body": body.decode()})
    return subprocess.run(
        [str(webhooks("python")), str(IN_WEBHOOKS), secret],
        input=message, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False,
    )  # fmt: skip


@pytest.mark.requirement("HOOK-01")
async def test_the_libraries_of_standard_webhooks_and_cloudevents_take_our_messages_and_no_changed_ones():
    bench = await Bench().registered()
    with hooked() as hook:
        desk = desk_on(bench)
        desk.register.put(stream("webhook:ops", receiver="ops", method="webhook", endpoint=hook.url))
        await announce_new(desk)
        # Their library wants a time that is near its own.
        bench.clock.jump((SystemClock().now() - bench.clock.now()) / 1000)
        what = revocable("agent", "rover")
        await revoke_authority(bench.recorder, bench.authority, bench.live, what, by="alice", reason="Grüße")
        await announce_new(desk)
        assert await deliver_events(desk, "webhook:ops") == 1
        (seen,) = hook.taken
    said = await anyio.to_thread.run_sync(judged, seen.headers, seen.body)
    assert said.returncode == ACCEPTED, said.stderr
    found = json.loads(said.stdout)
    assert found["attributes"]["type"] == "answerable.agent.revoked"
    assert found["attributes"]["source"] == ISSUER
    assert found["attributes"]["id"] == seen.headers["webhook-id"]
    assert found["data"]["name"] == "rover"
    other = "whsec_" + b64encode(SECRET[::-1]).decode()
    for headers, body, secret in (
        (seen.headers, seen.body + b" ", THEIRS),
        (seen.headers | {"webhook-id": "another"}, seen.body, THEIRS),
        (seen.headers | {"webhook-timestamp": "1790000000"}, seen.body, THEIRS),
        (seen.headers, seen.body, other),
    ):
        assert (await anyio.to_thread.run_sync(judged, headers, body, secret)).returncode == REFUSED


@pytest.mark.requirement("CHANNEL-09")
async def test_the_same_libraries_take_our_messages_to_approvers():
    with hooked() as hook:
        channel = MessageWebhook(
            HttpEventPost(answer_seconds_max=30.0), url=hook.url, secret=SECRET, source=ISSUER
        )
        now = SystemClock().now()
        message = trial_message("test.1", channel="webhook:ops", link="https://us.example/a", now=now)
        assert (await channel.send(message, "ops", handle="", now=now)).state == "taken"
        (seen,) = hook.taken
    said = await anyio.to_thread.run_sync(judged, seen.headers, seen.body)
    assert said.returncode == ACCEPTED, said.stderr
    found = json.loads(said.stdout)
    assert found["attributes"]["type"] == "answerable.message.test"
    assert found["data"]["link"] == "https://us.example/a"
