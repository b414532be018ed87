"""Every connection in a real RabbitMQ's own log is told from which step it is, whatever clients call theirs."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from aiormq import Connection

from answerable.adapters.log_readers import LogTimes, RabbitmqLog, bounded_lines
from answerable.core.attribution.log_line import LogLine
from answerable.core.lease.name import lease_of
from answerable.flows.forensics.attribute_log import Attribution, attribute_file
from tests.stand_ins.rabbitmq_server import OPERATOR, OPERATOR_PASSWORD, RunningRabbit, session_rabbitmq
from tests.unit.core.attribution.test_attribute_line import Ledger, action
from tests.worlds.brokered import eventually
from tests.worlds.rabbitmq_lease import call, issuer_on, logged_in, message, order

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRabbit]:
    with session_rabbitmq() as running:
        yield running


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-03")
async def test_a_connection_is_of_the_step_that_opened_it_whatever_others_are_called(server):
    def log() -> str:
        (file,) = server.folder.glob("log/*@localhost.log")
        return file.read_text()

    async def person(name: str) -> None:
        connection = Connection(f"amqp://{OPERATOR}:{OPERATOR_PASSWORD}@127.0.0.1:{server.port}/%2F")
        await connection.connect({"connection_name": name})
        await connection.close()

    before = len(log())
    async with issuer_on(server) as issuer:
        credential = await issuer.issue(order())
        done = await call(server, credential, "publish", message("hello"))
        place = dict(done.session)["rabbitmq_connection"]
        granted = f"connection {place}: user '{credential.account}' authenticated and granted access to vhost 'cases'"
        stolen = await logged_in(server, credential)
        await stolen.close()
        for name in ("my app", f"x\n{granted}", credential.account, f"x: user '{credential.account}'"):
            await person(name)
        await person("the last")

    async def is_written() -> bool:
        return "the last, vhost:" in log()

    await eventually(is_written, "the log")
    ledger = Ledger(until=2_000_000_000_000)
    lease = lease_of(credential.account)
    assert lease is not None
    begun = next(line for line in log().splitlines() if place in line)
    at = LogTimes(zone=None, now=0).stamped(begun[:32])
    ledger.step(
        1, lease=lease, account=credential.account, at=at, lease_ended=at + 60_000, rabbitmq_connection=place
    )
    text = io.BytesIO(log()[before:].encode())
    # The server is that of the session: other tests have leases on it, too.
    of_ours = (credential.account, OPERATOR)
    read = RabbitmqLog(LogTimes(zone=None, now=0)).read(bounded_lines(text))
    lines = [one for one in read if isinstance(one, LogLine) and one.account in of_ours]
    found = Attribution()
    told: list[tuple[str, str, str]] = []

    def tell(line: LogLine, answer: object) -> None:
        step = getattr(answer, "step", None)
        told.append((getattr(answer, "verdict", ""), line.keys[0][1], step.action if step else ""))

    attribute_file(found, "log", lines, ledger.index(), frozenset(), tell)
    # Opened and closed: ours, the thief's, and of the people's the one that is called as ours is.
    assert told[:2] == [("ours", place, action(1))] * 2
    assert [verdict for verdict, _, _ in told[2:4]] == ["bypass", "bypass"]
    assert {verdict for verdict, _, _ in told[4:]} == {"forged"}
    assert len({key for _, key, _ in told}) == 3
    assert [one for one in told[2:] if one[2]] == []
