"""What ending things costs in the registers alone: `./dev bench revocation [--json] [--quick]`.

The look at every action, a root with ten thousand descendants, a million live tokens, 300,000 live grants read again.
Of whole servers the same is part of `./dev bench tokens`.

Peers: a look into a set (the least that any check can cost), SQLite's own `PRAGMA data_version` and a read of the file
by a system call, which are what a check without shared memory would ask. The limits are those of issue 4.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from answerable.adapters.sqlite import (
    SqliteMandateRegister,
    SqliteRevocationRegister,
    SqliteStore,
    SqliteTokenRegister,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.mandate.issued_token import IssuedToken
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import Revocation, RevocationTarget, revocable
from answerable.core.mandate.token import claims_of
from answerable.testing.samples import mandate

DESCENDANTS: Final = 10_000
LIVE_TOKENS: Final = 1_000_000
LIVE_GRANTS: Final = 300_000
LOOKS: Final = 300_000
BATCH: Final = 10_000
HOUR_MS: Final = 3_600_000

Line = dict[str, Any]


def main() -> None:
    """Measure and print; exit code 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a hundredth of everything, to see that it runs")
    wanted = parser.parse_args()
    share = 100 if wanted.quick else 1
    lines: list[Line] = []
    for part in (looks, descendants, live_tokens, live_grants):
        with TemporaryDirectory() as folder:
            lines += part(Path(folder), share)
    if wanted.json:
        print(json.dumps({"bench": "revocation", "machine": _machine(), "figures": _figures(lines)}))
    else:
        for line in lines:
            limit = f"   at most {line['limit']:,.1f}" if line["limit"] is not None else ""
            print(f"{line['name']:<66} {line['value']:>12,.3f} {line['unit']}{limit}")
    missed = [line for line in lines if line["limit"] is not None and line["value"] > line["limit"]]
    sys.exit(1 if missed and not wanted.quick else 0)


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )


def _figures(lines: list[Line]) -> dict[str, float]:
    return {f"{line['name'].strip()}, {line['unit']}": line["value"] for line in lines}


def looks(folder: Path, share: int) -> list[Line]:
    """The look that every action takes twice, while nothing is revoked and with 10,000 names that are."""
    store = SqliteStore.open(folder / "registers.db")
    register = SqliteRevocationRegister(store, clock=SystemClock())
    names = tuple(revocable("agent", f"agent-{number}") for number in range(12))
    reader = store.reader()
    descriptor = os.open(folder / "registers.epoch", os.O_RDONLY)
    known = frozenset(range(100))
    count = LOOKS // share
    # A busy machine slows everything down alike, so that the limit moves with what the look saves.
    system_call = _each(lambda: os.pread(descriptor, 8, 0), count)
    found = [
        _line("epoch, nothing new", _each(register.epoch, count), "µs", max(0.5, system_call / 2)),
        _line("find of 12 names, nothing revoked", _each(lambda: register.find(names), count), "µs"),
        _line("peer: a look into a set", _each(lambda: 7 in known, count), "µs"),
        _line("peer: reading the number by a system call", system_call, "µs"),
        _line("peer: PRAGMA data_version", _each(reader.version, count // 10 + 1), "µs"),
    ]
    os.close(descriptor)
    with store.write() as connection:
        connection.executemany(
            "INSERT INTO revocations (kind, name, at, made_by, reason, recorded) VALUES ('token', ?, 0, 'o', '', 1)",
            [(f"t-{number}",) for number in range(DESCENDANTS)],
        )
    store.tell_ended()
    register.epoch()
    found.append(
        _line("find of 12 names, 10,000 others revoked", _each(lambda: register.find(names), count), "µs")
    )
    store.close()
    return found


def descendants(folder: Path, share: int) -> list[Line]:
    """A root is revoked here; how long until another process refuses each of its descendants, too."""
    file, count = folder / "registers.db", DESCENDANTS // share
    store = SqliteStore.open(file)
    tokens = SqliteTokenRegister(store, entropy=SystemEntropy())
    _issue(tokens, count, shared_root=True)
    register = SqliteRevocationRegister(store, clock=SystemClock())
    here, there = multiprocessing.get_context("spawn").Pipe()
    other = multiprocessing.get_context("spawn").Process(target=_watch, args=(there, str(file), count))
    other.start()
    here.recv()
    root = revocable("token", "t-0")
    started = time.monotonic()
    register.add(Revocation(what=root, at=SystemClock().now(), by="operator"))
    returned = time.monotonic()
    ended = tokens.end((root,))
    stored = time.monotonic()
    first, every = here.recv()
    other.join()
    if ended != count:
        raise SystemExit(f"{ended} of {count} tokens ended")
    store.close()
    return [
        _line("revoking a root returned after", (returned - started) * 1000, "ms"),
        _line("another process refused its first descendant after", (first - started) * 1000, "ms"),
        _line(f"another process had refused all {count:,} after", (every - started) * 1000, "ms", 1000.0),
        _line(f"status bits of all {count:,} were on disk after", (stored - started) * 1000, "ms", 1000.0),
    ]


def _watch(pipe: Connection, file: str, count: int) -> None:
    """Asks as a gateway does for a chain: each descendant with its root, until every one of them is refused."""
    register = SqliteRevocationRegister(SqliteStore.open(Path(file)), clock=SystemClock())
    root = RevocationTarget("token", "t-0")
    chains = [(root, RevocationTarget("token", f"t-{number}")) for number in range(count)]
    pipe.send("ready")
    while register.find(chains[0]) is None:
        pass
    first = time.monotonic()
    if any(register.find(chain) is None for chain in chains):
        raise SystemExit("a descendant was let through after its root was revoked")
    pipe.send((first, time.monotonic()))


def live_tokens(folder: Path, share: int) -> list[Line]:
    """A million live tokens: what issuing, their status lists and one look-up cost, and what memory they take."""
    return _alone(_live_tokens, folder, LIVE_TOKENS // share)


def _live_tokens(folder: Path, count: int) -> list[Line]:
    before = _rss_megabytes()
    store = SqliteStore.open(folder / "registers.db")
    tokens = SqliteTokenRegister(store, entropy=SystemEntropy())
    started = time.monotonic()
    _issue(tokens, count, shared_root=False)
    issued = time.monotonic()
    ended = tokens.end([RevocationTarget("agent", "agent-7")])
    stopped = time.monotonic()
    lists = tokens.find("t-1")
    last = tokens.take_places(1)[0].list_number
    packed = time.monotonic()
    for number in range(1, last + 1):
        tokens.statuses(number)
    told = time.monotonic()
    ask = _each(lambda: tokens.has_ended("t-1"), 20_000)
    store.close()
    if lists is None or ended != count // 100:
        raise SystemExit(f"{ended} tokens ended, expected {count // 100}")
    return [
        _line(f"issuing and keeping {count:,} tokens, each", (issued - started) * 1e6 / count, "µs"),
        _line(f"ending the {ended:,} tokens of one agent among them", (stopped - issued) * 1000, "ms"),
        _line(f"making all {last} status lists", (told - packed) * 1000, "ms"),
        _line("whether one token has ended, from disk", ask, "µs"),
        _line(f"resident memory with {count:,} live tokens", _rss_megabytes(), "MB", 200.0),
        _line("  of it before the first", before, "MB"),
    ]


def live_grants(folder: Path, share: int) -> list[Line]:
    """300,000 mandates that are in force: how long a restart takes to know them all again."""
    count = LIVE_GRANTS // share
    store = SqliteStore.open(folder / "registers.db")
    one = mandate("m-template")
    body = encode(claims_of(one, audience="")).decode()

    def token(name: str) -> str:
        """As of a mandate of this name. Nobody verifies its signature here."""
        return f"e30.{to_base64url(body.replace('m-template', name).encode())}.AAAA"

    with store.write() as connection:
        connection.executemany(
            "INSERT INTO mandates (id, claims, token, state) VALUES (?, ?, ?, ?)",
            (
                (
                    f"m-{n}",
                    body.replace("m-template", f"m-{n}").encode(),
                    token(f"m-{n}"),
                    "open" if n % 10 else "closed",
                )
                for n in range(count)
            ),
        )
    store.close()
    return _alone(_reopened, folder, count)


def _reopened(folder: Path, count: int) -> list[Line]:
    started = time.monotonic()
    store = SqliteStore.open(folder / "registers.db")
    mandates = SqliteMandateRegister(store)
    register = SqliteRevocationRegister(store, clock=SystemClock())
    register.epoch()
    took = time.monotonic() - started
    if mandates.state(MandateId("m-1")) != "open" or mandates.state(MandateId("m-10")) != "closed":
        raise SystemExit("a mandate is not what it was")
    memory = _rss_megabytes()
    store.close()
    return [
        _line(f"reopening {count:,} live grants", took, "s", 30.0),
        _line("  resident memory then", memory, "MB"),
    ]


def _issue(tokens: SqliteTokenRegister, count: int, *, shared_root: bool) -> None:
    expires = UnixMillis(SystemClock().now() + HOUR_MS)
    for start in range(0, count, BATCH):
        places = tokens.take_places(min(BATCH, count - start))
        tokens.add(
            IssuedToken(
                jti=f"t-{number}",
                parent=f"t-{(number - 1) // 10}" if shared_root and number else "",
                par_hash=f"h-{number}" if shared_root else "",
                mandate=MandateId(f"m-{number // 10}"),
                agent=AgentId(f"agent-{number % 100}"),
                key="k" * 43,
                trust_domain="example.org",
                expires_at=expires,
                place=place,
            )
            for number, place in enumerate(places, start)
        )


def _alone(part: Any, folder: Path, count: int) -> list[Line]:
    """In a process of its own, whose memory is nobody else's."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_answering, args=(there, part, folder, count))
    process.start()
    found: list[Line] = here.recv()
    process.join()
    return found


def _answering(pipe: Connection, part: Any, folder: Path, count: int) -> None:
    pipe.send(part(folder, count))


def _each(action: Any, count: int) -> float:
    """Microseconds of one call, the best of three rounds."""
    rounds = []
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(count):
            action()
        rounds.append((time.perf_counter() - started) / count * 1e6)
    return min(rounds)


def _rss_megabytes() -> float:
    """The most that was ever resident, which is more than what is.

    Not `ru_maxrss`: that begins with what the process had that this one was spawned from.
    """
    peak = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def _line(name: str, value: float, unit: str, limit: float | None = None) -> Line:
    return {"name": name, "value": value, "unit": unit, "limit": limit}


if __name__ == "__main__":
    main()
