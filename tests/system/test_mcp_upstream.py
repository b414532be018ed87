"""The adapter alone, on real processes and real HTTP servers that misbehave."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.adapters.mcp_upstream.upstream import McpUpstream
from answerable.adapters.system import SystemClock
from answerable.core.action.outcome import Outcome
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.commit import Committed
from answerable.core.ledger.entry import Receipt
from answerable.core.ledger.warrant import Warrant
from answerable.core.registry.documents.documents import Server
from answerable.errors import Broken, Refused
from tests.probes.loud_skips import skip_loudly
from tests.system.hostile_http import NAMES, hostile_http
from tests.worlds.gateway import EXAMPLES, HOSTILE, until

pytestmark = pytest.mark.anyio
GIT = Path(__file__).parents[2] / ".dev/upstreams/git/bin/mcp-server-git"
SQLITE = Path(__file__).parents[2] / ".dev/upstreams/sqlite/bin/mcp-server-sqlite"


def hostile(home: Path, name: str = "bad", seconds: int = 1) -> Server:
    return Server(name=name, command=sys.executable, args=(str(HOSTILE), str(home)), call_seconds_max=seconds)


def warrant(target: str, arguments: dict[str, JSONValue] | None = None, server: str = "bad") -> Warrant:
    frozen = freeze(
        {"arguments": arguments or {}, "method": "tools/call", "server": server, "target": target}
    )
    return Warrant(
        committed=Committed(receipt=Receipt(index=1, leaf_hash=bytes(32)), call=1),
        action_id="action-1",
        action=frozen,
        server=server,
        idempotency_key="key-1",
        lease_name="",
        deadline=UnixMillis(int(time.time() * 1000) + 5_000),
    )


@asynccontextmanager
async def running(*servers: Server, settings: UpstreamSettings | None = None) -> AsyncIterator[McpUpstream]:
    upstream = McpUpstream(clock=SystemClock(), settings=settings)
    upstream.apply(servers)
    async with anyio.create_task_group() as tasks:
        await tasks.start(upstream.run)
        yield upstream
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def ready(*servers: Server, settings: UpstreamSettings | None = None) -> AsyncIterator[McpUpstream]:
    async with running(*servers, settings=settings) as upstream:
        assert await upstream.ready(seconds_max=20) == ()
        yield upstream


@pytest.mark.requirement("GATE-16")
async def test_the_upstream_gets_the_frozen_action_once_with_its_own_key(tmp_path):
    arguments: dict[str, JSONValue] = {"value": None, "ünï": [1.5, {"n": 2**53 - 1}]}
    async with ready(hostile(tmp_path)) as upstream:
        one = warrant("echo", arguments)
        arguments["value"] = "changed by its owner"
        outcome = await upstream.perform(one)
        assert outcome.status == "succeeded"
        assert outcome.result["structuredContent"] == {"value": None, "ünï": [1.5, {"n": 2**53 - 1}]}
        with pytest.raises(Broken):
            await upstream.perform(one)
        late = warrant("echo")
        late.deadline = UnixMillis(0)
        with pytest.raises(Refused):
            await upstream.perform(late)
    (line,) = (tmp_path / "calls").read_text().splitlines()
    assert '"answerable/idempotency-key": "key-1"' in line
    assert '"answerable/action": "action-1"' in line


@pytest.mark.requirement("GATE-22")
async def test_a_server_that_is_registered_and_not_yet_connected_is_waited_for(tmp_path):
    listed: list[list[dict[str, JSONValue]] | None] = []
    async with running(settings=UpstreamSettings(connect_wait_seconds=60)) as upstream:
        assert not upstream.serves("bad")
        upstream.expect([hostile(tmp_path)])
        assert upstream.serves("bad")

        async def asks() -> None:
            listed.append(await upstream.entries("bad", "tools/list"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asks)
            await anyio.wait_all_tasks_blocked()
            upstream.apply([hostile(tmp_path)])
    assert listed[0]


@pytest.mark.requirement("GATE-09")
async def test_whatever_a_server_does_the_outcome_claims_no_more_than_is_known(tmp_path):
    expected = {
        "error": ("failed", "the disk is full"),
        "failing": ("failed", "no such case"),
        "garbage": ("indeterminate", "no JSON-RPC message"),
        "surrogate": ("indeterminate", "no JSON-RPC message"),
        "huge": ("indeterminate", "longer than"),
        "big_integer": ("indeterminate", "2**53"),
        "bad_result": ("indeterminate", "cannot be read"),
        "deep": ("indeterminate", "nested deeper"),
        "closed_error": ("indeterminate", "something went wrong"),
        "asks_input": ("indeterminate", "cannot be read"),
        "hang": ("indeterminate", "within 5 s"),
        "crash": ("indeterminate", "lost"),
        "printing": ("succeeded", ""),
        "echo": ("succeeded", ""),
    }
    got: dict[str, Outcome] = {}
    async with ready(hostile(tmp_path, seconds=5)) as upstream:
        for name in expected:
            got[name] = await upstream.perform(warrant(name))
    assert {name: outcome.status for name, outcome in got.items()} == {n: e[0] for n, e in expected.items()}
    for name, (_, words) in expected.items():
        assert words in got[name].detail, name
    assert len((tmp_path / "cancelled").read_text().splitlines()) == 1


@pytest.mark.requirement("GATE-09")
async def test_whatever_an_http_server_does_costs_that_call_alone(tmp_path):
    expected = {
        "html": "indeterminate",
        "http_500": "indeterminate",
        "http_403": "failed",
        "accepted": "indeterminate",
        "cut": "indeterminate",
        "huge": "indeterminate",
        "half": "indeterminate",
        "json_garbage": "indeterminate",
        "hang": "indeterminate",
        "echo": "succeeded",
    }
    got: dict[str, str] = {}

    async def one(upstream: McpUpstream, name: str) -> None:
        got[name] = (await upstream.perform(warrant(name))).status

    async with (
        hostile_http() as url,
        ready(Server(name="bad", url=url, call_seconds_max=1)) as upstream,
        anyio.create_task_group() as tasks,
    ):
        # All at once, so that one that ended the session would show in the others.
        for name in expected:
            tasks.start_soon(one, upstream, name)
    assert got == expected


@pytest.mark.requirement("GATE-01")
async def test_all_pages_are_read_and_headers_that_a_tool_asks_for_are_sent():
    async with hostile_http() as url, ready(Server(name="bad", url=url)) as upstream:
        entries = await upstream.entries("bad", "tools/list")
        assert [entry["name"] for entry in entries or ()] == [*NAMES, "annotated"]
        outcome = await upstream.perform(warrant("annotated", {"region": "eu-1"}))
        assert outcome.result is not None
        assert outcome.result["content"] == [{"type": "text", "text": "eu-1"}]


@pytest.mark.requirement("GATE-10")
async def test_an_http_server_that_goes_and_comes_back_is_found_again():
    async with running() as upstream:
        async with hostile_http() as url:
            port = int(url.split(":")[2].split("/")[0])
            upstream.apply([Server(name="bad", url=url, call_seconds_max=2)])
            assert await upstream.ready(seconds_max=10) == ()
            assert (await upstream.perform(warrant("echo"))).status == "succeeded"
        with anyio.fail_after(10):
            assert (await upstream.perform(warrant("echo"))).status == "not_started"
        async with hostile_http(port):
            assert await upstream.ready(seconds_max=10) == ()
            assert (await upstream.perform(warrant("echo"))).status == "succeeded"


@pytest.mark.requirement("GATE-10")
async def test_a_killed_server_is_started_again_and_its_definitions_stay(tmp_path):
    async with ready(hostile(tmp_path)) as upstream:
        for _ in range(2):
            pid = int((tmp_path / "starts").read_text().splitlines()[-1])
            os.kill(pid, signal.SIGKILL)
            await until(lambda: upstream.states()[0].state != "up")
            assert await upstream.ready(seconds_max=5) == ()
            assert (await upstream.perform(warrant("echo"))).status == "succeeded"
        assert len((tmp_path / "starts").read_text().splitlines()) == 3


@pytest.mark.requirement("GATE-10")
async def test_a_server_that_cannot_start_stops_nobody_and_says_why(tmp_path):
    silent = Server(name="silent", command=sys.executable, args=("-c", "import time; time.sleep(60)"))
    missing = Server(name="missing", command=str(tmp_path / "none"))
    secret = Server(name="secret", command=sys.executable, env=(("TOKEN", "env:NOT_SET_ANYWHERE"),))
    settings = UpstreamSettings(connect_seconds_max=1, connect_wait_seconds=0.1, stop_seconds_max=0.2)
    async with running(silent, missing, secret, hostile(tmp_path), settings=settings) as upstream:
        assert set(await upstream.ready(seconds_max=2)) == {"silent", "missing", "secret"}
        assert (await upstream.perform(warrant("echo"))).status == "succeeded"
        assert (await upstream.perform(warrant("echo", server="missing"))).status == "not_started"
        assert (await upstream.perform(warrant("echo", server="nobody"))).status == "not_started"
        faults = {state.name: state.fault for state in upstream.states()}
    assert "no connection within 1 s" in faults["silent"]
    assert "No such file" in faults["missing"]
    assert "`env:NOT_SET_ANYWHERE` cannot be resolved" in faults["secret"]


@pytest.mark.requirement("GATE-10")
async def test_servers_come_and_go_with_the_registry(tmp_path):
    async with ready(hostile(tmp_path)) as upstream:
        (first,) = (tmp_path / "starts").read_text().splitlines()
        upstream.apply([hostile(tmp_path, seconds=2), hostile(tmp_path, name="more")])
        assert await upstream.ready(seconds_max=10) == ()
        assert (await upstream.perform(warrant("echo", server="more"))).status == "succeeded"
        upstream.apply([])
        assert not upstream.serves("bad")
        await until(lambda: not _alive(int(first)), seconds=10)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.requirement("GATE-10")
async def test_standard_error_goes_into_a_bounded_log_and_secrets_reach_only_the_server(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("A_SECRET", "from-environment")
    (tmp_path / "secret").write_text("from-file\n")
    code = (
        "import os, sys; print(os.environ['A'], os.environ['B'], os.environ.get('A_SECRET'), file=sys.stderr)"
    )
    server = Server(
        name="talker",
        command=sys.executable,
        args=("-c", code),
        env=(("A", "env:A_SECRET"), ("B", f"file:{tmp_path / 'secret'}")),
    )
    logs = tmp_path / "logs"
    async with running(server, settings=UpstreamSettings(log_directory=logs)):
        await until(lambda: (logs / "talker.log").exists() and (logs / "talker.log").read_text())
    assert (logs / "talker.log").read_text().splitlines()[0] == "from-environment from-file None"


@pytest.mark.requirement("GATE-07")
async def test_names_that_could_be_mistaken_are_not_offered_and_reported(tmp_path):
    (tmp_path / "names").write_text("\n".join(["pay", "pay", "p\u0430y", "zero\u200bwidth", "fine"]))
    async with ready(hostile(tmp_path)) as upstream:
        entries = await upstream.entries("bad", "tools/list")
        assert [entry["name"] for entry in entries or ()] == ["fine"]
        (state,) = upstream.states()
    assert len(state.refused) == 3


@pytest.mark.requirement("GATE-11")
async def test_cancelling_tells_the_upstream(tmp_path):
    async with ready(hostile(tmp_path, seconds=20)) as upstream:
        with anyio.move_on_after(0.3):
            await upstream.perform(warrant("hang"))
        await until((tmp_path / "cancelled").exists)


@pytest.mark.requirement("GATE-08")
async def test_a_server_that_reads_nothing_costs_its_callers_no_more_than_their_time(tmp_path):
    deaf = "import json,sys,time\nfor line in sys.stdin:\n  m=json.loads(line)\n  if m['method']=='tools/call': time.sleep(60)\n  r={'initialize':{'protocolVersion':'2025-11-25','capabilities':{'tools':{}},'serverInfo':{'name':'d','version':'1'}},'tools/list':{'tools':[]}}.get(m['method'])\n  if 'id' in m: print(json.dumps({'jsonrpc':'2.0','id':m['id'],**({'result':r} if r else {'error':{'code':-32601,'message':'no'}})}),flush=True)\n"  # fmt: skip # noqa: E501
    server = Server(name="deaf", command=sys.executable, args=("-c", deaf), call_seconds_max=4)
    settings = UpstreamSettings(write_seconds_max=3)
    ended: list[object] = []

    async def call_the_deaf() -> None:
        ended.append(await upstream.perform(warrant("any", {"value": "x" * 1_000_000}, server="deaf")))

    async with (
        ready(server, hostile(tmp_path), settings=settings) as upstream,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(3):
            tasks.start_soon(call_the_deaf)
        assert (await upstream.perform(warrant("echo"))).status == "succeeded"
        assert not ended
        await until(lambda: next(s for s in upstream.states() if s.name == "deaf").state != "up", seconds=20)


@pytest.mark.requirement("GATE-01")
async def test_servers_that_others_wrote_are_understood(tmp_path):
    if not GIT.exists() or not SQLITE.exists():
        skip_loudly("what environments/*-server.lock list", "./dev sets it up", name="upstreams")
    await anyio.run_process(["git", "init", "-q", str(tmp_path / "repo")])
    servers = (
        Server(name="git", command=str(GIT), args=("--repository", str(tmp_path / "repo"))),
        Server(name="sqlite", command=str(SQLITE), args=("--db-path", str(tmp_path / "a.db"))),
        Server(
            name="crm",
            command=sys.executable,
            args=(str(EXAMPLES / "crm.py"), "--database", str(tmp_path / "c.db")),
        ),
    )
    async with ready(*servers) as upstream:
        tools = {state.name: state.tools for state in upstream.states()}
        status = await upstream.perform(
            warrant("git_status", {"repo_path": str(tmp_path / "repo")}, server="git")
        )
        rows = await upstream.perform(warrant("read_query", {"query": "SELECT 1 AS one"}, server="sqlite"))
    assert (tools["git"], tools["sqlite"]) == (12, 6)
    assert (status.status, rows.status) == ("succeeded", "succeeded")
