"""Issuing and revoking users of RabbitMQ, beside the bare requests to its management API by the same HTTP library.

`./dev bench leases_rabbitmq [--json] [--leases N]`. A server is started on the disk of the temporary folder.
Ours asks more than it must to make a user: whether the name is taken, and whether the exchange looks at routing keys;
and, when it has ended one, whether a connection is left.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import httpx2  # noqa: E402
from lease_course import in_turns, run  # noqa: E402

from answerable.adapters.rabbitmq_users.grants import checked_grants  # noqa: E402
from answerable.core.canonical import freeze  # noqa: E402
from answerable.core.lease.credential import Credential  # noqa: E402
from tests.stand_ins.rabbitmq_server import ADMIN, ADMIN_PASSWORD, VHOST, RunningRabbit, session_rabbitmq  # noqa: E402
from tests.worlds.rabbitmq_lease import SCOPE, issuer_of, order  # noqa: E402


async def one_after_another(server: RunningRabbit, count: int) -> dict[str, object]:
    issuer = issuer_of(server)
    made: dict[int, Credential] = {}
    grants, _ = checked_grants(freeze(SCOPE))
    assert grants is not None
    user = {
        "password_hash": b64encode(bytes(36)).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }
    issues: list[tuple[str, object]] = [
        ("users/ans_bare", user),
        ("user-limits/ans_bare/max-connections", {"value": 4}),
        ("user-limits/ans_bare/max-channels", {"value": 8}),
        *((f"topic-permissions/{VHOST}/ans_bare", topic) for topic in grants.topic_permissions()),
        (f"permissions/{VHOST}/ans_bare", grants.permissions()),
    ]

    async with httpx2.AsyncClient(
        base_url=f"{server.management}/api/", auth=(ADMIN, ADMIN_PASSWORD), trust_env=False, timeout=10
    ) as client:

        async def bare_issue(number: int) -> None:
            for path, content in issues:
                (await client.put(path, json=content)).raise_for_status()

        async def bare_revoke(number: int) -> None:
            (await client.delete(f"permissions/{VHOST}/ans_bare")).raise_for_status()
            await client.get("connections/username/ans_bare?columns=name")
            (await client.delete("users/ans_bare")).raise_for_status()

        async def issue(number: int) -> None:
            made[number] = await issuer.issue(order())

        figures = await in_turns(
            count,
            issue=(bare_issue, issue),
            revoke=(bare_revoke, lambda number: issuer.revoke(made[number].lease)),
        )
    assert not await issuer.live()
    await issuer.close()
    return figures


async def measured(count: int) -> dict[str, Any]:
    with session_rabbitmq() as server:
        version = server.as_operator("GET", "/api/overview").json()["rabbitmq_version"]
        return {"server": version, "exchange_and_queue": await one_after_another(server, count)}


def main() -> None:
    run(__doc__, measured)


if __name__ == "__main__":
    main()
