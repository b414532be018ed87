"""Issuing and revoking users of Redis, beside the bare commands by redis-py.

`./dev bench leases_redis [--json] [--leases N]`. A server of its own is started on loopback, which keeps nothing on
disk. Bare issuing is the `ACL SETUSER` alone; ours asks first whether the name is taken, which is one more question.
"""

from __future__ import annotations

import asyncio
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import redis.asyncio  # noqa: E402
from lease_course import in_turns, run  # noqa: E402

from answerable.adapters.redis_acl.grants import checked_grants  # noqa: E402
from answerable.core.canonical import freeze  # noqa: E402
from tests.stand_ins.redis_server import ADMIN, ADMIN_PASSWORD, RunningRedis, redis_server  # noqa: E402
from tests.worlds.redis_lease import SCOPE, issuer_of, order  # noqa: E402

AT_ONCE: Final = 200


async def one_after_another(server: RunningRedis, count: int) -> dict[str, object]:
    bare: Any = redis.asyncio.Redis(port=server.port, username=ADMIN, password=ADMIN_PASSWORD)
    issuer = issuer_of(server)
    grants, _ = checked_grants(freeze(SCOPE))
    assert grants is not None
    rules = ("reset", "-@all", "sanitize-payload", *grants.rules(), "#" + sha256(b"bare").hexdigest(), "on")

    async def bare_revoke(number: int) -> None:
        together = bare.pipeline(transaction=False)
        together.execute_command("CLIENT", "KILL", "USER", "ans_bare")
        together.execute_command("ACL", "DELUSER", "ans_bare")
        await together.execute(raise_on_error=False)

    figures = await in_turns(
        count,
        issue=(
            lambda _: bare.execute_command("ACL", "SETUSER", "ans_bare", *rules),
            lambda number: issuer.issue(order(number + 1)),
        ),
        revoke=(bare_revoke, lambda number: issuer.revoke(order(number + 1).name)),
    )
    await bare.aclose()
    await issuer.close()
    return figures


async def all_at_once(server: RunningRedis) -> dict[str, object]:
    """Users that are there at the same time."""
    issuer = issuer_of(server)
    started = time.perf_counter()
    made = await asyncio.gather(*(issuer.issue(order(number + 1)) for number in range(AT_ONCE)))
    issued = time.perf_counter() - started
    started = time.perf_counter()
    await asyncio.gather(*(issuer.revoke(credential.lease) for credential in made))
    took = time.perf_counter() - started
    assert not await issuer.live()
    await issuer.close()
    return {"users": AT_ONCE, "issue_seconds": round(issued, 3), "revoke_seconds": round(took, 3)}


async def measured(count: int) -> dict[str, Any]:
    with redis_server() as server:
        return {
            "keys_and_commands": await one_after_another(server, count),
            "at_once": await all_at_once(server),
        }


def main() -> None:
    run(__doc__, measured)


if __name__ == "__main__":
    main()
