"""MCP over HTTP on loopback, through the gateway and through its peers: `./dev bench gateway [--json]`.

Every row answers the same `tools/call` of stateless 2026-07-28 clients with the same upstream tool, in JSON, with
servers and load in processes of their own. The gateway is the product as `answerable up` runs it: a MAC per message,
Cedar with 50 policies, arguments checked against the tool's schema, intent and outcome durable on disk. Its peers do
nothing but pass on: the SDK's own calls without the gateway, and fastmcp's proxy in both its forms.

The rows are run in turns, a round after another, and a ratio is the median of the ratios within each round, so that a
busy machine slows both sides of it. CPU is user and system time of the server process (/proc), the least of all rounds,
since a neighbour only ever adds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import raw_log
from course import MANDATE, OWNERSHIP, POLICIES, Scratch, documents

from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.system import SystemEntropy
from answerable.core.canonical import JSONValue
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.mandate import Grant, MandateTerms
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.sdk.signing import signed_mandate
from answerable.wiring.assemble import assembled
from answerable.wiring.settings import load_settings

PEERS = Path(__file__).resolve().parent / "peers"
SOURCES = PEERS.parents[1] / "src"
ECHO = [sys.executable, str(PEERS / "echo_upstream.py")]
ROUNDS = 3
SECONDS = 1.5
CONNECTIONS = 16
SWEPT = (1, 64, 256)
CALLS_PER_SECOND_MAX = 6_000
START_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
HOST = "127.0.0.1"

DIRECT, OURS, FLOOR = "upstream, called directly", "answerable", "sdk pass-through"
USUAL, CONNECTED = "fastmcp proxy, usual", "fastmcp proxy, connected"
FIGURES = {
    "rate_over_sdk_passthrough": FLOOR,
    "rate_over_idle_proxy": USUAL,
    "rate_over_connected_proxy": CONNECTED,
}
UPSTREAMS = {"http": "", "stdio": "_stdio"}
"""Suffix of its figures."""


@dataclass(slots=True, kw_only=True)
class Peer:
    """One server under load. upstream: `http`, `stdio`, or empty for the upstream itself. pids: its own comes first."""

    name: str
    upstream: str
    port: int
    path: str
    pids: list[int]
    key: str = ""
    runs: list[dict[str, object]] = field(default_factory=list)

    def run(self, connections: int, seconds: float) -> dict[str, object]:
        """Load it from a process of its own. Ends the program when any answer was not a success."""
        load = {
            "host": HOST,
            "port": self.port,
            "path": self.path,
            "connections": connections,
            "seconds": seconds,
            "calls_max": max(400, int(CALLS_PER_SECOND_MAX * seconds)),
            "pids": self.pids,
            "key": self.key,
            "mandate": str(MANDATE) if self.key else "",
        }
        command = [sys.executable, str(PEERS / "load_client.py")]
        done = subprocess.run(command, input=json.dumps(load), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{self.name} ({self.upstream}): the load client failed:\n{done.stderr[-2000:]}")
        result: dict[str, object] = json.loads(done.stdout)
        if result["errors"]:
            raise SystemExit(
                f"{self.name} ({self.upstream}): {result['errors']} of {result['calls']} calls failed, the first with "
                f"{result['fault']}"
            )
        return result

    def over(self, other: Peer) -> float:
        """The median of the ratios of their rates, round by round."""
        pairs = zip(self.runs, other.runs, strict=True)
        return statistics.median(_number(own, "rate") / _number(its, "rate") for own, its in pairs)


def _number(run: dict[str, object], name: str) -> float:
    value = run[name]
    assert isinstance(value, int | float)
    return float(value)


def _cpu(run: dict[str, object], position: int) -> float:
    used = run["cpu_us"]
    assert isinstance(used, list)
    return float(used[position]) if position < len(used) else 0.0


@contextmanager
def process(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A server process whose standard output we read; it is gone afterwards."""
    path = os.pathsep.join(part for part in (str(SOURCES), os.environ.get("PYTHONPATH", "")) if part)
    environment = {**os.environ, "PYTHONPATH": path}
    with log.open("w") as errors:
        started = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=log.parent, env=environment
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def port_of(started: subprocess.Popen[str], log: Path) -> int:
    """The port that a peer prints once it listens."""
    assert started.stdout is not None
    line = started.stdout.readline()
    if not line.strip().isdigit():
        raise SystemExit(f"a peer did not start:\n{log.read_text()[-2000:]}")
    return int(line)


def upstream_spec(upstream: str, url: str) -> dict[str, JSONValue]:
    """The upstream as a registered server names it."""
    if upstream == "http":
        return {"url": url}
    return {"command": ECHO[0], "args": [ECHO[1], "stdio"]}


def registered(name: str) -> JSONValue:
    """An agent that never comes."""
    spec: JSONValue = {"useCase": "support", "environment": "production", "ownership": OWNERSHIP}
    return {"apiVersion": "answerable/v1", "kind": "Agent", "metadata": {"name": name}, "spec": spec}


async def founded(
    data: Path, spec: dict[str, JSONValue], more: Callable[[Path], list[JSONValue]] = lambda _: []
) -> None:
    """The registry of the benchmark and one mandate, in a data directory. more: documents beside those."""
    key = open_or_create_key(data / "agent.jwk", entropy=SystemEntropy())
    ada = open_or_create_key(data / "ada.jwk", entropy=SystemEntropy())
    named: list[JSONValue] = []
    for document in documents(key, ada):
        assert isinstance(document, dict)
        if document["kind"] == "Principal":
            assert isinstance(document["spec"], dict)
            document["spec"]["groups"] = ["leads", "finance"]
        named.append({**document, "spec": spec} if document["kind"] == "Server" else document)
    # A policy set that names nobody does not come into force.
    named += [registered(f"agent-{number:05}") for number in range(POLICIES)]
    named += more(data)
    async with assembled(load_settings(data)) as product:
        await apply_registry(
            product.walk.recorder,
            product.walk.authority,
            product.walk.asking,
            product.walk.applying,
            named,
            by="operator",
        )
        now = product.walk.clock.now()
        terms = MandateTerms(
            id=MANDATE,
            principal=PrincipalId("ada"),
            agent=AgentId("support-agent"),
            use_case="support",
            purpose="Answer the customer's question in case 4711",
            grants=(Grant(capability="crm.customer-read", caveats=(ResourceIn(ids=("4711",)),)),),
            caveats=(),
            calls_max=10**9,
            not_before=UnixMillis(now - 1000),
            expires_at=UnixMillis(now + 3_600_000),
        )
        token = signed_mandate(terms, audience=product.walk.recorder.ledger.origin, key=ada)
        await issue_mandate(product.walk.recorder, product.walk.authority, product.walk.asking, token)


def answerable(
    stack: ExitStack,
    directory: Path,
    upstream: str,
    url: str,
    *,
    more: Callable[[Path], list[JSONValue]] = lambda _: [],
) -> Peer:
    """`answerable up` on a fresh data directory, ready when its upstream is. more: documents to register beside."""
    data = directory / upstream
    data.mkdir(mode=0o700)
    (data / "answerable.toml").write_text("[gateway]\nport = 0\n[walk]\npin_tools_at_first_sight = true\n")
    asyncio.run(founded(data, upstream_spec(upstream, url), more))
    log = directory / f"answerable-{upstream}.log"
    command = [sys.executable, "-m", "answerable.main", "up", "--data", str(data)]
    started = stack.enter_context(process(command, log))
    control = httpx2.Client(
        transport=httpx2.HTTPTransport(uds=str(data / "control.sock")), base_url="http://a"
    )
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            if control.get("/v1/status").json()["servers"] == {"crm": "up"}:
                break
        except httpx2.HTTPError:
            pass
        if started.poll() is not None or time.monotonic() > give_up_at:
            raise SystemExit(f"`answerable up` did not start:\n{log.read_text()[-2000:]}")
        time.sleep(POLL_SECONDS)
    control.close()
    # What people are told of goes to standard error.
    port = int(log.read_text().partition(f"{HOST}:")[2].partition("/")[0])
    key = str(data / "agent.jwk")
    return Peer(name=OURS, upstream=upstream, port=port, path="/mcp/crm", pids=[started.pid], key=key)


def opened(stack: ExitStack, directory: Path, upstreams: Sequence[str]) -> list[Peer]:
    """Every row's server, all running and idle."""

    def peer(name: str, upstream: str, *command: str) -> Peer:
        log = directory / f"{len(list(directory.iterdir()))}.log"
        started = stack.enter_context(process([sys.executable, *command], log))
        return Peer(name=name, upstream=upstream, port=port_of(started, log), path="/mcp", pids=[started.pid])

    direct = peer(DIRECT, "", ECHO[1], "http")
    peers = [direct]
    for upstream in upstreams:
        url = f"http://{HOST}:{direct.port}/mcp"
        target = url if upstream == "http" else "stdio"
        peers += [
            answerable(stack, directory, upstream, url),
            peer(FLOOR, upstream, str(PEERS / "sdk_passthrough.py"), target),
            peer(USUAL, upstream, str(PEERS / "fastmcp_proxy.py"), "usual", target),
            peer(CONNECTED, upstream, str(PEERS / "fastmcp_proxy.py"), "connected", target),
        ]
    for one in peers[1:]:
        one.pids += direct.pids if one.upstream == "http" else []
    return peers


def figures_of(peers: list[Peer], upstreams: Sequence[str]) -> dict[str, float]:
    """The bars: each for both kinds of upstream, the one over HTTP without a suffix."""
    found = {(peer.name, peer.upstream): peer for peer in peers}
    figures: dict[str, float] = {}
    for upstream in upstreams:
        suffix = UPSTREAMS[upstream]
        ours = found[OURS, upstream]
        for figure, name in FIGURES.items():
            figures[figure + suffix] = ours.over(found[name, upstream])
        floor_cpu = min(_cpu(run, 0) for run in found[FLOOR, upstream].runs)
        figures[f"gateway_cpu_us{suffix}"] = min(_cpu(run, 0) for run in ours.runs)
        figures[f"sdk_passthrough_cpu_us{suffix}"] = floor_cpu
    return figures


def row_of(peer: Peer, connections: int, runs: list[dict[str, object]], direct: float) -> dict[str, object]:
    """One line of the table, from the round with the median rate. direct: rate of the upstream called directly."""
    middle = sorted(runs, key=lambda run: _number(run, "rate"))[len(runs) // 2]
    return {
        "server": peer.name,
        "upstream": peer.upstream,
        "connections": connections,
        "calls": int(_number(middle, "calls")),
        "rate": round(_number(middle, "rate")),
        "over_direct": round(_number(middle, "rate") / direct, 3),
        "p50_ms": round(_number(middle, "p50_ms"), 2),
        "p99_ms": round(_number(middle, "p99_ms"), 2),
        "cpu_us": round(min(_cpu(run, 0) for run in runs)),
        "upstream_cpu_us": round(min(_cpu(run, 1) for run in runs)),
    }


def table(rows: list[dict[str, object]], figures: dict[str, float], machine: str) -> None:
    """For people."""
    head = f"{'':26}{'upstream':9}{'conns':>6}{'rate/s':>8}{'direct':>8}{'p50 ms':>9}{'p99 ms':>9}"
    print(f"{head}{'CPU us':>9}{'its upstream':>14}")
    for row in rows:
        upstream_cpu = row["upstream_cpu_us"] or ""
        print(
            f"{row['server']:26}{row['upstream']:9}{row['connections']:>6}{row['rate']:>8}{row['over_direct']:>8}"
            f"{row['p50_ms']:>9}{row['p99_ms']:>9}{row['cpu_us']:>9}{upstream_cpu:>14}"
        )
    print(f"\n{machine}")
    for name, value in figures.items():
        print(f"  {name:36} {value:10.2f}")


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--seconds", type=float, default=SECONDS, help="of each row in each round")
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--connections", type=int, default=CONNECTIONS, help="of the figures")
    arguments.add_argument("--quick", action="store_true", help="one round at one number of connections")
    arguments.add_argument("--upstream", choices=UPSTREAMS, help="with this kind of upstream alone")
    options = arguments.parse_args()
    rows: list[dict[str, object]] = []
    upstreams = [options.upstream] if options.upstream else list(UPSTREAMS)
    # A benchmark that is stopped must not leave its servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Scratch() as scratch, ExitStack() as stack:
        peers = opened(stack, scratch.absolute(), upstreams)
        for _ in range(1 if options.quick else options.rounds):
            for peer in peers:
                peer.runs.append(peer.run(options.connections, options.seconds))
        direct = statistics.median(_number(run, "rate") for run in peers[0].runs)
        rows += [row_of(peer, options.connections, peer.runs, direct) for peer in peers]
        for connections in () if options.quick else SWEPT:
            first = peers[0].run(connections, options.seconds)
            rows.append(row_of(peers[0], connections, [first], _number(first, "rate")))
            for peer in peers[1:]:
                if peer.name in (OURS, USUAL):
                    run = peer.run(connections, options.seconds)
                    rows.append(row_of(peer, connections, [run], _number(first, "rate")))
        # Our rows alone wait for the disk, twice a call: what one wait takes belongs beside them.
        sync_ms = raw_log.single_fdatasync(scratch, 200).p50_ms
        figures = figures_of(peers, upstreams) | {"fdatasync_p50_ms": sync_ms}
    load = os.getloadavg()[0]
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )
    if options.json:
        print(json.dumps({"bench": "gateway", "machine": machine, "rows": rows, "figures": figures}))
        return
    table(rows, figures, machine)


if __name__ == "__main__":
    main()
