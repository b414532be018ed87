"""The contract suite of issuers on a real MariaDB."""

from __future__ import annotations

import pytest

from answerable.testing.contracts.credential_issuer import CredentialIssuerContract
from tests.mariadb_world import bench_on, own_furnished_server

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("MARIADB-01")]


@pytest.fixture(scope="module")
def server():
    with own_furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server) as opened:
        yield opened


class TestMariadbIssuer(CredentialIssuerContract):
    pass
