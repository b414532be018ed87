"""The least that the same promise can cost in Python: what the walk is measured against in the same run.

One action: a cached proof is looked up, Cedar is asked once through its raw call with the same 50 policies cut to the
slice that can match and the same size of context, two records are encoded, hashed and made durable by group commit.
Nothing is parsed, frozen, validated, checked for budget, explained, or recoverable.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import time
from pathlib import Path

import cedarpy
import msgspec
from cedarpy import _internal
from raw_log import RawLog

POLICY = """
permit(principal == Agent::"support-agent", action == Action::"crm.customer-read", resource is Case)
when { context.task.use_case == "support" && context.capability.tier < 3 };
"""


async def cpu_us_per_action(directory: Path, *, callers: int, seconds: float) -> float:
    """Process CPU µs per action at this many closed loops."""
    policies = cedarpy.PolicySet.from_str(POLICY)
    entities = _internal.Entities.from_json_str("[]")
    principal = {"type": "Agent", "id": "support-agent"}
    action = {"type": "Action", "id": "crm.customer-read"}
    encoder, decode = msgspec.msgpack.Encoder(), msgspec.json.decode
    proofs = {hashlib.sha256(str(number).encode()).digest(): number for number in range(64)}
    keys = list(proofs)
    log = RawLog(directory / "bare.log")
    chain = bytes(32)
    done = 0
    stop_at = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        nonlocal chain, done
        context = msgspec.json.encode({"task": {"use_case": "support"}, "capability": {"tier": 1}}).decode()
        while time.perf_counter() < stop_at:
            assert proofs[keys[number % 64]] == number % 64
            request = {
                "principal": principal,
                "action": action,
                "resource": {"type": "Case", "id": "4711"},
                "context": context,
            }
            answer = decode(_internal.is_authorized(request, policies, entities))
            assert answer["decision"] == "Allow"
            for kind in ("intent", "outcome"):
                record = encoder.encode(
                    (kind, number, done, "support-agent", "crm.customer-read", b"x" * 900)
                )
                chain = hashlib.sha256(chain + record).digest()
                await log.append(record)
            done += 1

    gc.collect()
    cpu = time.process_time()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    cpu = time.process_time() - cpu
    log.close()
    return cpu / done * 1e6
