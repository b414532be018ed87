"""PostgreSQL and MariaDB over TLS: the server's certificate and name are checked, by issuer and by sessions."""

from __future__ import annotations

import asyncio

import pytest

from answerable.errors import Unavailable
from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds import mariadb as mariadb_world
from tests.worlds import postgres as postgres_world
from tests.worlds.federation import Authority

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"
OURS, OTHERS = Authority(), Authority()


@pytest.fixture(
    scope="module",
    params=["postgres", "mariadb"],
)
def place(request):
    world = {"postgres": postgres_world, "mariadb": mariadb_world}[request.param]
    with world.own_furnished_server() as server:
        yield request.param, world, server


def ca_file(folder, authority):
    path = folder / "ca.pem"
    path.write_bytes(authority.pem)
    return str(path)


async def with_certificate(server, leaf):
    """The server presents it from now on."""
    chain, key = leaf.pem()
    certificate, secret = server.keep("certificate", chain), server.keep("key", key)
    await asyncio.to_thread(server.stop)
    if isinstance(server, PostgresServer):
        with (server.folder / "state/postgresql.conf").open("a") as file:
            file.write(f"ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{secret}'\n")
    else:
        server.options = [f"--ssl-cert={certificate}", f"--ssl-key={secret}"]
    await asyncio.to_thread(server.start)


async def fails(opening):
    with pytest.raises(Unavailable) as caught:
        async with opening as bench:
            await bench.issuer.live()
    assert caught.value.effect == "none"
    return caught.value.message


ENCRYPTED = {
    "postgres": "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mariadb": "SHOW SESSION STATUS LIKE 'Ssl_version'",
}


@pytest.mark.requirement("PG-09", "MARIADB-06")
async def test_only_the_server_that_is_meant_is_talked_to(place, tmp_path):
    kind, world, server = place
    ours, others = tmp_path / "ours", tmp_path / "others"
    ours.mkdir()
    others.mkdir()
    await with_certificate(server, OURS.leaf("127.0.0.1"))
    async with world.bench_on(server, tls="verify", tls_ca_file=ca_file(ours, OURS)) as bench:
        credential = await bench.issuer.issue(world.order())
        async with bench.target.connected(credential) as opened:
            done = await opened.perform("query", {"sql": ENCRYPTED[kind]}, tag=TAG, seconds_max=5)
        assert done.result["structuredContent"]["rows"][0][-1] in (True, "TLSv1.3")
    # Signed by nobody that is trusted; by the system's, when nothing is named; for another name.
    await fails(world.bench_on(server, tls="verify", tls_ca_file=ca_file(others, OTHERS)))
    await fails(world.bench_on(server, tls="verify"))
    await with_certificate(server, OURS.leaf("127.0.0.2"))
    await fails(world.bench_on(server, tls="verify", tls_ca_file=ca_file(ours, OURS)))
