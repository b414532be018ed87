"""The contract suite of issuers on a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import pytest

from answerable.testing.contracts.credential_issuer import CredentialIssuerContract
from tests.worlds import mariadb as mariadb_world
from tests.worlds import postgres as postgres_world

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "world",
        [
            pytest.param(postgres_world, id="postgres", marks=pytest.mark.requirement("PG-01")),
            pytest.param(mariadb_world, id="mariadb", marks=pytest.mark.requirement("MARIADB-01")),
        ],
        scope="module",
    ),
]


@pytest.fixture(scope="module")
def server(world):
    with world.own_furnished_server() as running:
        yield running


@pytest.fixture
async def bench(world, server):
    async with world.bench_on(server) as opened:
        yield opened


class TestSqlIssuer(CredentialIssuerContract):
    pass
