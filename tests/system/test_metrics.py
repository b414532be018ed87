"""The real server with a door for those who watch, a collector on loopback, and the command line beside it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.stand_ins.ports import free_port
from tests.worlds.shard_house import made_house
from tests.worlds.shard_house import until as shards_until
from tests.worlds.up import PEOPLE, SETTINGS, house, until


def value(text: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


@pytest.mark.anyio
@pytest.mark.requirement("STAT-08")
@pytest.mark.requirement("STAT-09")
@pytest.mark.requirement("STAT-10")
async def test_a_server_tells_prometheus_a_collector_and_the_command_line_the_same(tmp_path):
    heard: list[ExportMetricsServiceRequest] = []

    async def collector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length is not None
        heard.append(ExportMetricsServiceRequest.FromString(await reader.readexactly(int(length[1]))))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(collector, "127.0.0.1", 0)
    port, taken = free_port(), listening.sockets[0].getsockname()[1]
    more = f'[telemetry]\nmetrics_port = {port}\notlp_endpoint = "http://127.0.0.1:{taken}/v1/metrics"\n'
    async with house(tmp_path, SETTINGS + more + "otlp_seconds = 1\n") as made:
        made.apply(PEOPLE)
        await made.start()
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            answer = await client.get("/metrics")
            assert answer.status_code == 200
            assert value(answer.text, "answerable_figures_entries") > 0
            assert "bela" not in answer.text
            assert (await client.get("/metrics", headers={"host": "a.example"})).status_code == 421
        found = json.loads(made.command("stats", "--json"))
        (log,) = found["logs"]
        assert log["entries"] == log["size"] > 0
        assert log["decisions"] is None
        assert found["groups"] == [] or all(not one["actions"] for one in found["groups"])
        await until(lambda: heard, "a collector to be told")
        names = {one.name for one in heard[-1].resource_metrics[0].scope_metrics[0].metrics}
        assert "answerable_ledger_entries" in names
        await made.stop(signal.SIGTERM)
        # Without a server, and from what the last one kept.
        again = json.loads(made.command("stats", "--json", "--since", "all"))
        assert again["logs"][0]["entries"] >= log["entries"]
        assert again["logs"][0]["origin"] == log["origin"]
    listening.close()


@pytest.mark.requirement("STAT-02")
@pytest.mark.requirement("STAT-08")
def test_two_processes_count_each_its_own_log_and_any_of_them_tells_both_after_a_kill():
    with made_house() as made:
        made.command("a", "apply", "-f", str(made.world.registry))

        def told(shard: str) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(
                made.command(shard, "stats", "--json", "--since", "all").stdout
            )
            return found

        def alone(shard: str) -> int:
            return sum(one["alone"] for one in told(shard)["groups"])

        with made.up("a") as a:
            with made.up("b") as b:
                mandates = {one.name: made.issue(one.name) for one in (a, b)}
                for one in (a, a, b):
                    one.acted(mandates[one.name])
                # What the other one did is known once it was kept.
                shards_until(lambda: alone("a") == alone("b") == 3, "the figures of both")
                assert len(told("a")["logs"]) == len(told("b")["logs"]) == 2
                assert sum(one["traced"] for one in told("a")["groups"]) == 3
                b.acted(mandates["b"])
                b.process.kill()
                b.process.wait()
            # The log of who was killed is counted on from where it was left, and no action is lost or counted twice.
            with made.up("b"):
                shards_until(lambda: alone("a") == alone("b") == 4, "the figures of who came back")
                assert sum(one["tasks"] for one in told("b")["use_cases"]) == 2
