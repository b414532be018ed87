"""What a session of a lease on MariaDB may try to outlive its lease."""

from __future__ import annotations

import anyio
import pytest

from answerable.adapters.mariadb_accounts import connection as strict
from answerable.errors import Unavailable
from tests.worlds.mariadb import bench_on, furnished_server, order

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.mark.requirement("MARIADB-08")
async def test_a_session_that_takes_the_lock_of_its_own_revocation_is_cut_all_the_same(server):
    """`GET_LOCK` is everybody's, and the name of the lock is that of the account, which the agent can ask for."""
    async with bench_on(server) as bench:
        credential = await bench.issuer.issue(order())
        waiting = "SELECT GET_LOCK(SUBSTRING_INDEX(USER(), '@', 1), 0), SLEEP(20)"
        ends = []

        async def outstay() -> None:
            async with bench.target.connected(credential) as session:
                try:
                    await session.perform("query", {"sql": waiting}, tag=TAG, seconds_max=20)
                    ends.append("by itself")
                except Unavailable:
                    ends.append("cut")

        async def held() -> bool:
            asked = "SELECT IS_USED_LOCK(USER) FROM information_schema.PROCESSLIST WHERE USER LIKE 'ans%'"
            return any(row[0] for row in await server.run(asked))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outstay)
            while not await held():  # noqa: ASYNC110 - a lock has no event
                await anyio.sleep(0.02)
            revoked = await bench.issuer.revoke(credential.lease)
        assert revoked.is_gone
        assert revoked.sessions_cut >= 1
        assert ends == ["cut"]
        assert not await bench.issuer.live()
        with pytest.raises((OSError, strict.REFUSED)):
            await bench.connect(credential)
