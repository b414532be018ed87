"""Every connection in the log and in the events of a real NATS server is told from which step it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import nats.errors
import pytest

from answerable.adapters.log_readers import LogTimes, NatsLog, offset_of
from answerable.adapters.nats_users.tokens import signing_key
from answerable.adapters.system import SystemClock
from answerable.core.lease.name import lease_of
from tests.stand_ins.nats_server import RunningNats, nats_server
from tests.unit.core.attribution.test_attribute_line import Ledger, action
from tests.worlds.attributed import answers, lines_of
from tests.worlds.brokered import eventually
from tests.worlds.nats_lease import call, connected, issuer_on, order, user

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[RunningNats]:
    with nats_server() as running:
        yield running


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-03", "ATTRIBUTE-06")
async def test_a_connection_is_of_the_step_that_opened_it_whatever_others_are_called(server):
    ledger, events = Ledger(until=2_000_000_000_000), list[str]()

    async def heard(message) -> None:
        events.append(message.data.decode())

    async with issuer_on(server) as issuer, user(server, system=True) as listening:
        await listening.subscribe("$SYS.ACCOUNT.*.*", cb=heard)
        await listening.flush()
        sessions = {}
        for number, subject in enumerate(("case.7.a", "case.8.a"), 1):
            credential, at = await issuer.issue(order()), SystemClock().now()
            done = await call(server, credential, "publish", subject, "hello")
            session = sessions[number] = dict(done.session)["nats_client"]
            lease = lease_of(credential.account)
            assert lease is not None
            ledger.step(
                number,
                lease=lease,
                account=credential.account,
                at=at,
                lease_ended=at + 60_000,
                nats_client=session,
            )
        token, key = credential.secret.reveal("token"), signing_key(credential.secret.reveal("seed"), of="U")
        thief = await connected(server, token, key, [])
        await thief.close()
        for name in ("my-app", f"x\n[1] {credential.account}", credential.account):
            persons, own = server.user(server.account, "person")
            person = await connected(server, persons, own, [], name=name)
            await person.close()
        await issuer.revoke(credential.lease)
        with pytest.raises(nats.errors.Error):
            await connected(server, token, key, [])

        async def is_written() -> bool:
            return len([one for one in events if "client_disconnect" in one]) >= 6

        await eventually(is_written, "the events")
    times = LogTimes(zone=offset_of("+00:00"), now=0)
    for text in ((server.folder / "nats.log").read_text(), "\n".join(events)):
        found, told = answers(NatsLog(times).read(lines_of(text)), ledger.index())
        mine = {session: action(number) for number, session in sessions.items()}
        assert {one.session: one.action for one in told if one.verdict == "ours"} == mine
        assert {one.grade for one in told if one.verdict == "ours"} == {"B"}
        assert len({one.session for one in told if one.verdict == "bypass"}) == 1
        # Only the events say what a client calls itself: opened and closed.
        forged = Counter(one.verdict for one in told)["forged"]
        assert forged == (2 if text.startswith("{") else 0)
        assert not found.unseen(ledger.index(), ()).phantoms
