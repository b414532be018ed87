"""The contract suite of issuers on a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from answerable.testing.contracts.credential_issuer import CredentialIssuerContract
from tests.postgres_server import postgres_server
from tests.postgres_world import PostgresBench, built, furnish

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PG-01")]


@pytest.fixture(scope="module")
def server():
    with postgres_server() as running:
        asyncio.run(furnish(running))
        yield running


@pytest.fixture
async def bench(server):
    bench = PostgresBench(server, built(server))
    yield bench
    for name in await bench.issuer.live():
        await bench.issuer.revoke(name)
    await bench.issuer.close()


class TestPostgresIssuer(CredentialIssuerContract):
    pass
