"""RabbitMQ, Redis and NATS, for what leases on them promise alike: `@on(RABBITMQ(marks=...), ...)` over a test.

`world` is then the module of a server. What each says for itself:

`KIND`, `DONE`, `granted_call()`: its kind of targets, and a call within the scope of `order()` with what it returns.
`served()`, `own_server()`, `tls_server()`: a server to use, to stop as well, and with TLS for `localhost` alone.
`issuer_on`, `target_of`, `tls_parts`, `bench_on`: issuer, target, both over TLS, and the bench of the contract suite.
`sessions_of`: the open sessions of a credential, as the server itself names them.
`secrets_of`, `shown_by`, `failing`: what nobody may see, all that a server shows, and calls that must fail.
`LESSER`, `broker_with_less`, `whole_life`, `page_has_the_rights`: own accounts of a broker that have too little, what
each is to fail at, and whether the page tells enough.
`settings_of`, `SETTINGS_MISSING`: settings with their secrets, and how many faults there are without any.
`unanswered`: a call that the server does not answer, where it can be slow.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from answerable.core.lease.credential import Credential, Performed
from tests.worlds import nats_lease, rabbitmq_lease, redis_lease

RABBITMQ = partial(pytest.param, rabbitmq_lease, id="rabbitmq")
REDIS = partial(pytest.param, redis_lease, id="redis")
NATS = partial(pytest.param, nats_lease, id="nats")


def on(*servers: Any) -> Any:
    """The test once for each, all of one server together."""
    return pytest.mark.parametrize("world", servers, scope="module")


def page_of(kind: str) -> str:
    return (Path(__file__).parents[2] / f"docs/reference/adapters/{kind}.md").read_text(encoding="utf-8")


async def performed(target: Any, credential: Credential, tool: str, arguments: Any) -> Performed:
    """By a session of its own."""
    async with target.connected(credential) as session:
        done: Performed = await session.perform(tool, arguments, tag="an-action", seconds_max=10)
    return done
