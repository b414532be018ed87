"""What a DPoP proof costs: `./dev bench dpop [--json] [--quick]`.

- A proof at the resource, the client's key known from an earlier one and not, beside the bare signature of the same
  key over the same bytes, and beside the proofs that the gateway had before: a signed message and a session MAC.
- What remembers proofs: the table that processes share, memory, and SQLite as it would be used for that, with each kind
  of sync; also from two processes at once, by wall time, each for a partition of its own.
CPU time of the process, the best of three; ratios hold on a noisy machine, figures do not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from itertools import count, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import course

from answerable.adapters.replay_table import SharedReplayStore
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.base64url import to_base64url
from answerable.core.identity.keys import keys
from answerable.core.identity.keys.keys import SEED_BYTES, SigningKey, new_private_jwk, verifying_key
from answerable.core.identity.proof import dpop
from answerable.core.identity.proof.dpop import dpop_proof
from answerable.flows.tokens.verify_dpop import BoundToken, DpopLimits, DpopVerifier

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    from answerable.core.identity.keys.keys import Algorithm
    from answerable.ports.replay_store import ReplayStore

URL = "https://gateway.example"
TARGET = b"/mcp/crm"
TOKEN = "e30." + "a" * 800 + ".c2ln"
TIMES = 3_000
BEST_OF = 3
USES_MAX = 100_000

Fields = list[tuple[bytes, bytes]]


def cpu_us(
    each: Iterator[Callable[[], object]], times: int, before: Callable[[], object] = lambda: None
) -> float:
    """CPU µs per call; the best of three. What is called is made ready before the clock runs."""
    best = float("inf")
    for _ in range(BEST_OF):
        ready = [next(each) for _ in range(times)]
        before()
        begun = time.process_time()
        for call in ready:
            call()
        best = min(best, (time.process_time() - begun) / times * 1e6)
    return best


def new_key(algorithm: Algorithm) -> SigningKey:
    return SigningKey(new_private_jwk(algorithm, os.urandom(SEED_BYTES[algorithm])))


class Resource:
    """A verifier whose tokens are known already, as they are in the gateway's cache, and its clients."""

    def __init__(self, store: ReplayStore) -> None:
        self._keys: dict[str, str] = {}
        self.verifier: DpopVerifier[None] = DpopVerifier(
            clock=SystemClock(),
            entropy=SystemEntropy(),
            store=store,
            limits=DpopLimits(urls=frozenset({URL}), nonce_seconds=300),
            token_of=lambda token: BoundToken(key=self._keys[token], content=None),
        )

    def message(self, key: SigningKey, token: str) -> tuple[Fields, bytes]:
        """What a client sends: its fields and a body of 0.8 KiB."""
        self._keys[token] = key.public.thumbprint
        body = course.body(1)
        proof = dpop_proof(
            key,
            method="POST",
            url=URL + TARGET.decode(),
            identifier=to_base64url(os.urandom(16)),
            issued_at=int(time.time()),
            token=token,
            nonce=self.verifier.nonce_field()[1].decode(),
            message=body,
        )
        return [(b"authorization", b"DPoP " + token.encode()), (b"dpop", proof.encode())], body

    def calls(self, senders: Iterator[SigningKey]) -> Iterator[Callable[[], object]]:
        """One verified message each, by these keys in turn."""
        for number, key in enumerate(senders):
            fields, body = self.message(key, f"{TOKEN}{number}")
            yield partial(self.verifier.verify, "POST", TARGET, fields, body)


def forget_keys() -> None:
    """As at the first proof of a client: whoever made proofs in this process has prepared their keys already."""
    dpop._key_in.cache_clear()
    verifying_key.cache_clear()
    keys._is_point.cache_clear()


def proof_costs(directory: Path, times: int) -> dict[str, float]:
    """CPU µs of proofs and of the bare signature under them."""
    costs: dict[str, float] = {}
    algorithms: tuple[tuple[str, Algorithm], ...] = (("ed25519", "ed25519"), ("es256", "ecdsa-p256-sha256"))
    for name, algorithm in algorithms:
        key = new_key(algorithm)
        known = Resource(table(directory / f"{name}-known", partitions=8, uses=USES_MAX))
        costs[f"{name}_cached"] = cpu_us(known.calls(repeat(key)), times)
        few = max(times // 10, 50)
        strangers = Resource(table(directory / f"{name}-new", partitions=few * BEST_OF, uses=4_096))
        costs[f"{name}_uncached"] = cpu_us(
            strangers.calls(new_key(algorithm) for _ in count()), few, forget_keys
        )
        message = b"x" * 420
        bare = partial(verifying_key(key.public).verify, message, key.sign(message))
        costs[f"{name}_bare_signature"] = cpu_us(repeat(bare), times)
        costs[f"{name}_made"] = cpu_us(repeat(partial(known.message, key, TOKEN)), times)
    return costs


def table(path: Path, *, partitions: int, uses: int) -> SharedReplayStore:
    return SharedReplayStore.open(
        path, entropy=SystemEntropy(), at=0.0, partitions_max=partitions, uses_per_partition_max=uses
    )


def gateway_costs(directory: Path, times: int) -> dict[str, float]:
    """CPU µs of the proofs that the gateway had before, for messages of the same size."""
    at = course.course(directory)

    def calls(sent: Iterator[course.Sent]) -> Iterator[Callable[[], object]]:
        for message, channel in sent:
            yield partial(at.verifier.verify, message, channel)

    return {
        "signed_message": cpu_us(calls(course.signed_messages(at)), times),
        "session_mac": cpu_us(calls(course.session_messages(at)), times),
    }


class SqliteUses:
    """What a replay store in SQLite would be: one transaction a use, with the count that bounds a partition."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS uses (partition BLOB, digest BLOB, until REAL,"
            " PRIMARY KEY (partition, digest)) WITHOUT ROWID"
        )
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS counts (partition BLOB PRIMARY KEY, uses INTEGER)"
        )

    def accept(self, partition: bytes, digest: bytes, *, until: float, at: float) -> str:
        self._connection.execute("BEGIN IMMEDIATE")
        execute = self._connection.execute
        added = execute(
            "INSERT INTO uses VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until WHERE until <= ?",
            (partition, digest, until, at),
        ).rowcount
        execute(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT DO UPDATE SET uses = uses + excluded.uses",
            (partition, added),
        )
        execute("COMMIT")
        return "new" if added else "seen"


Accept = Callable[..., str]


def stores(directory: Path) -> dict[str, Callable[[], Accept]]:
    """How each is opened, in any process."""
    return {
        "shared_table": lambda: (
            SharedReplayStore.open(
                directory / "table",
                entropy=SystemEntropy(),
                at=0.0,
                partitions_max=8,
                uses_per_partition_max=4_096,
            ).accept
        ),
        "sqlite_off": lambda: SqliteUses(directory / "off.db", "OFF").accept,
        "sqlite_normal": lambda: SqliteUses(directory / "normal.db", "NORMAL").accept,
        "sqlite_full": lambda: SqliteUses(directory / "full.db", "FULL").accept,
    }


def uses_of(accept: Accept, whose: int) -> Iterator[Callable[[], object]]:
    """1,000 uses a second of a clock of our own, each remembered for a second: 1,000 at a time."""
    partition = sha256(b"%d" % whose).digest()
    for number in count(1):
        at = number / 1_000
        digest = os.urandom(16)
        yield partial(_accepted, accept, partition, digest, at)


def _accepted(accept: Accept, partition: bytes, digest: bytes, at: float) -> None:
    if accept(partition, digest, until=at + 1, at=at) != "new":
        raise AssertionError("a first use was not new")


def in_parallel(directory: Path, name: str, times: int) -> float:
    """Uses a second of two processes together, by wall time."""
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_used_up, args=(directory, name, times, whose, barrier, told))
        for whose in (1, 2)
    ]
    for process in processes:
        process.start()
    spans = [told.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    span: float = max(end for _, end in spans) - min(begun for begun, _ in spans)
    return 2 * times / span


def _used_up(
    directory: Path, name: str, times: int, whose: int, barrier: Barrier, told: Queue[tuple[float, float]]
) -> None:
    calls = uses_of(stores(directory)[name](), whose)
    ready = [next(calls) for _ in range(times)]
    barrier.wait()
    begun = time.monotonic()
    for call in ready:
        call()
    told.put((begun, time.monotonic()))


def figures_of(directory: Path, times: int) -> dict[str, float]:
    """All that is measured, then the ratios."""
    for name in ("proofs", "walk", "alone", "together"):
        (directory / name).mkdir()
    costs = proof_costs(directory / "proofs", times) | gateway_costs(directory / "walk", times)
    for name, opened in stores(directory / "alone").items():
        costs[f"use_{name}"] = cpu_us(
            uses_of(opened(), 0), times if name != "sqlite_full" else max(times // 10, 50)
        )
    figures = {f"{name}_us": round(value, 1) for name, value in costs.items()}
    for name in ("ed25519", "es256"):
        bare = costs[f"{name}_bare_signature"]
        figures[f"{name}_cached_over_bare_signature"] = round(costs[f"{name}_cached"] / bare, 2)
        figures[f"{name}_uncached_over_bare_signature"] = round(costs[f"{name}_uncached"] / bare, 2)
    figures["ed25519_cached_over_signed_message"] = round(
        costs["ed25519_cached"] / costs["signed_message"], 2
    )
    for name in ("shared_table", "sqlite_off"):
        figures[f"two_processes_{name}_per_s"] = round(in_parallel(directory / "together", name, times))
    figures["sqlite_off_over_shared_table"] = round(costs["use_sqlite_off"] / costs["use_shared_table"], 2)
    return figures


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="fewer calls")
    options = arguments.parse_args()
    with course.Scratch() as place, tempfile.TemporaryDirectory(dir=place) as directory:
        figures = figures_of(Path(directory), TIMES // 10 if options.quick else TIMES)
    load = os.getloadavg()[0]
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )
    if options.json:
        print(json.dumps({"bench": "dpop", "machine": machine, "figures": figures}))
        return
    print(machine)
    for name, value in figures.items():
        print(f"  {name:44} {value:12}")


if __name__ == "__main__":
    main()
