"""The contract suite of issuers on real RabbitMQ, Redis and NATS servers: each claim is tried with the credential."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from answerable.testing.contracts.credential_issuer import CredentialIssuerContract
from tests.stand_ins.nats_server import nats_server
from tests.worlds import nats_lease
from tests.worlds.message_servers import NATS, RABBITMQ, REDIS, on

IN_MEMORY = SimpleNamespace(own_server=partial(nats_server, resolver="memory"), bench_on=nats_lease.bench_on)
"""Where tokens of accounts cannot be replaced: users end at their time."""

pytestmark = [
    pytest.mark.anyio,
    on(
        RABBITMQ(marks=pytest.mark.requirement("RABBIT-01")),
        REDIS(marks=pytest.mark.requirement("REDIS-01")),
        NATS(marks=pytest.mark.requirement("NATS-01")),
        pytest.param(IN_MEMORY, id="nats-in-memory", marks=pytest.mark.requirement("NATS-01")),
    ),
]


@pytest.fixture(scope="module")
def server(world):
    with world.own_server() as running:
        yield running


@pytest.fixture
async def bench(world, server):
    async with world.bench_on(server) as opened:
        yield opened


class TestMessageServerIssuer(CredentialIssuerContract):
    pass
