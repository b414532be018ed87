"""Records decisions that must replay for ever: `python -m tests.replay.record_decisions FILE`.

Run once per version of the question, by hand; what it made stays as it is. It holds the entries of small logs as they
are stored, with the keys of their subjects: allowed, denied by a policy, by the mandate, by an argument that does not
fit and by a hold, put to people, approved, narrowed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from answerable.core.containment.hold import holdable
from answerable.core.ledger import subject_key
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused
from answerable.testing.builders import POLICIES, Bench, bench_documents
from tests.attack.test_named_arguments import nested
from tests.attack.test_replayed_named_arguments import LOOSE
from tests.worlds.history import PERMIT
from tests.worlds.hold import bench_to_hold, stop

NARROWING = POLICIES.replace('@approve("approvers:1")\n', '@oblige("modify:amount<=5000; log:full")\n')


async def ready(policies: str = POLICIES, **terms: object) -> Bench:
    bench = await Bench().registered(bench_documents(policies))
    await bench.issue(**terms)
    return bench


async def as_policy_says() -> Bench:
    """Allowed, denied, put to people, approved."""
    bench = await ready()
    await bench.act()
    with suppress(Refused):
        await bench.refund(2_000_000)
    waiting = (await bench.refund(6_000)).approval
    assert waiting is not None
    await bench.answer(waiting)
    await bench.refund(6_000)
    return bench


async def as_the_mandate_says() -> Bench:
    bench = await ready(grants=(Grant(capability="crm.read"),))
    with suppress(Refused):
        await bench.refund(10)
    return bench


async def narrowed() -> Bench:
    bench = await ready(NARROWING)
    await bench.refund(9_000)
    return bench


async def held() -> Bench:
    bench = await bench_to_hold()
    await stop(bench, holdable("agent", "scout"))
    with suppress(Refused):
        await bench.act()
    return bench


async def by_an_argument() -> Bench:
    bench = await nested(policies=PERMIT, arguments=LOOSE)
    with suppress(Refused):
        await bench.act("refund", {"pay": {"case": "4711", "amount": "much"}})
    return bench


LOGS: dict[str, Callable[[], Awaitable[Bench]]] = {
    "as policy says": as_policy_says,
    "as the mandate says": as_the_mandate_says,
    "narrowed": narrowed,
    "held": held,
    "by an argument": by_an_argument,
}


def record() -> list[dict[str, Any]]:
    """Every log with its entries and keys."""
    logs = []
    for name, made in LOGS.items():
        secrets: dict[bytes, bytes] = {}
        plain = subject_key.SubjectKey.__init__

        def noted(self: Any, *, id: bytes, secret: bytes, secrets=secrets, plain=plain) -> None:
            secrets[id] = secret
            plain(self, id=id, secret=secret)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subject_key.SubjectKey, "__init__", noted)
            bench = asyncio.run(_awaited(made))
        stored = [*bench.recorder.ledger.replay()]
        logs.append(
            {
                "log": name,
                "keys": {key.hex(): secret.hex() for key, secret in secrets.items()},
                "entries": [
                    {"leaf": one.leaf.decode(), "attachment": b64encode(one.attachment).decode()}
                    for one in stored
                ],
            }
        )
    return logs


async def _awaited(made: Callable[[], Awaitable[Bench]]) -> Bench:
    return await made()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(record(), indent=1) + "\n")
