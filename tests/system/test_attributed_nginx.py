"""Every request in a real nginx's own log is told from which step it is, whatever others call themselves."""

from __future__ import annotations

import base64
import http.client
from collections import Counter
from collections.abc import Iterator

import pytest

from answerable.adapters.http_target.kind import HttpTargetSettings, built
from answerable.adapters.log_readers import LogTimes, NginxLog
from answerable.adapters.system import SystemClock
from answerable.core.attribution.content import Said
from tests.probes.demo_run import ROOT, blocks
from tests.stand_ins.nginx_server import USERS, RunningNginx, nginx_server
from tests.unit.core.attribution.test_attribute_line import Ledger, action
from tests.worlds.attributed import answers, lines_of
from tests.worlds.brokered import eventually
from tests.worlds.http_target import KEYED, Secrets, order, world

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs/how-to/attribute-a-log.md").read_text()


@pytest.fixture(scope="module")
def server() -> Iterator[RunningNginx]:
    (shown,) = blocks(PAGE, "nginx")
    with nginx_server(shown) as running:
        yield running


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-03", "ATTRIBUTE-05", "ATTRIBUTE-06")
async def test_a_request_is_of_the_step_that_sent_it_whatever_others_are_called(server):
    def asks(user: str, password: str, agent: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        known = base64.b64encode(f"{user}:{password}".encode()).decode()
        connection.request(
            "GET", "/cases/7", headers={"Authorization": f"Basic {known}", "User-Agent": agent}
        )
        status = connection.getresponse().status
        connection.close()
        return status

    settings = HttpTargetSettings(
        base_url=server.url, auth="basic", secret_name="crm-bot", secret="file:word"
    )
    crm = built(settings, world(Secrets({"file:word": USERS["crm-bot"].encode()})))
    ledger, requests = Ledger(until=2_000_000_000_000), {}
    for number in (1, 2, 3):
        credential, at = await crm.issuer.issue(order(number, scope=KEYED)), SystemClock().now()
        async with crm.target.connected(credential) as session:
            given = {"method": "GET", "path": "/cases/7"}
            done = await session.perform("request", given, tag=action(number), seconds_max=10)
        assert done.result["structuredContent"]["status"] == 200
        # Of the third, the outcome was lost.
        requests[number] = dict(done.session)["http_x_request_id"]
        ledger.step(
            number, at=at, ended=number < 3, lease_ended=at + 60_000, http_x_request_id=requests[number]
        )
    mine, word = f"answerable/{action(1)}", USERS["crm-bot"]
    statuses = [
        asks("crm-bot", word, "curl/8"),
        asks("crm-bot", word, mine),
        asks("crm-bot", "wrong", mine),
        asks("ann", USERS["ann"], "curl/8"),
        asks('x" 200 5 "-" "answerable', "wrong", f'x" "{mine}'),
        asks("ann", USERS["ann"], mine),
    ]
    assert statuses == [200, 200, 401, 200, 401, 200]
    log, combined = (server.folder / name for name in ("answerable.log", "combined.log"))

    async def is_written() -> bool:
        return all(one.exists() and len(one.read_text().splitlines()) == 9 for one in (log, combined))

    await eventually(is_written, "the log")
    times = LogTimes(zone=None, now=0)
    read = [*NginxLog(times).read(lines_of(log.read_text()))]
    found, told = answers(read, ledger.index(), "crm-bot")
    assert [(one.verdict, one.grade, one.action) for one in told[:3]] == [
        ("ours", "B", action(1)), ("ours", "B", action(2)), ("ours", "C", action(3)),
    ]  # fmt: skip
    assert [one.verdict for one in told[3:]] == ["bypass", "forged", "forged", "forged"]
    assert [one.session for one in told[:3]] == [*requests.values()]
    assert not found.unseen(ledger.index(), ()).phantoms
    # Without the name of the account, a step without a recorded request is a candidate alone.
    _, told = answers(read, ledger.index())
    assert Counter((one.verdict, one.grade) for one in told) == {
        ("ours", "B"): 2, ("shared", "D"): 1, ("forged", ""): 3,
    }  # fmt: skip
    # The form `combined` has the same labels and users, and no session.
    plain = [*NginxLog(times).read(lines_of(combined.read_text()))]
    assert [(one.label, one.login) for one in plain] == [(one.label, one.login) for one in read]
    assert {one.keys for one in plain} == {()}
    asked = (Said("method", ("GET",)), Said("path", ("/cases/7",)))
    assert {one.content for one in read} == {asked}
