"""Whoever watches, and whoever would like to: web pages, strangers on the wire, collectors that are gone or hostile."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import httpx2
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from answerable.adapters.otlp import OtlpExporter, request_of
from answerable.adapters.otlp import exporter as exporting
from answerable.adapters.prometheus import CONTENT_TYPE, exposition, families_of
from answerable.apps.metrics import MetricsServices, metrics_app
from answerable.core.ledger.figure_cells import Cell, Group
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.approval.report_statistics import report_statistics
from answerable.wiring import telemetry
from answerable.wiring.setting_tree import Settings
from answerable.wiring.settings import parse_settings
from tests.worlds.figures import ready
from tests.worlds.parts import to_measure, to_oversee

pytestmark = pytest.mark.anyio

DATA = Path("/srv/a")


async def busy():
    """A bench on which something of everything has happened."""
    bench = await ready()
    for _ in range(3):
        await bench.act()
    asked = await bench.refund(6_000)
    bench.clock.advance(90)
    await bench.answer(asked.approval)
    await bench.refund(6_000)
    await bench.refund(7_000)
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    return bench


async def families(bench):
    return [*families_of(await report_statistics(*to_oversee(bench.walk), others=False))]


def samples(text):
    """By name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def of(tier, **more):
    return tuple(sorted({"tier": tier, "use_case": "support", **more}.items()))


@pytest.mark.requirement("STAT-09")
async def test_the_text_is_what_prometheus_reads_and_says_what_was_counted():
    found = samples(exposition(await families(await busy())))
    actions = {
        how: found["answerable_actions_total", of("3", how=how)] for how in ("alone", "asked", "refused")
    }
    assert actions == {"alone": 0, "asked": 2, "refused": 1}
    assert found["answerable_actions_total", of("1", how="alone")] == 3
    assert found["answerable_questions_answered_total", of("3", verdict="approve")] == 1
    assert found["answerable_questions_waiting", of("3")] == 1
    assert found["answerable_question_wait_seconds", of("3", quantile="0.5")] == 90
    assert found["answerable_tasks_total", (("use_case", "support"),)] == 1
    assert found["answerable_effects_traced_total", of("1", found="yes")] == 3
    assert (
        found["answerable_decision_seconds_count", ()]
        == found["answerable_decision_seconds_bucket", (("le", "+Inf"),)]
        > 0
    )
    assert found["answerable_stops_total", (("kind", "revoked"),)] == 0


@pytest.mark.requirement("STAT-09")
async def test_it_names_no_person_agent_mandate_tool_argument_or_key():
    bench = await busy()
    text = exposition(await families(bench)).decode()
    secret = ["alice", "bob", "scout", "m-1", "get_case", "crm", "4711", bench.recorder.ledger.origin]
    assert [one for one in secret if one in text] == []
    assert not re.search("[0-9a-f]{32}", text)
    assert all(name.startswith("answerable_") for name, _ in samples(text.encode()))


@pytest.mark.requirement("STAT-09")
async def test_where_there_is_no_data_there_is_no_sample():
    bench = await ready()
    found = samples(exposition(await families(bench)))
    assert not [name for name, labels in found if name == "answerable_actions_total"]
    assert not [
        name for name, _ in found if "quantile" in name or ("seconds" in name and "decision" not in name)
    ]


@pytest.mark.requirement("STAT-05")
async def test_no_label_breaks_out_of_its_line():
    bench = await ready()
    told = await report_statistics(*to_oversee(bench.walk), others=False)
    hostile = 'x"} 1\nanswerable_actions_total{how="alone",tier="1",use_case="finance'
    told = replace(told, groups={Group("1", hostile): Cell(alone=1)})
    found = samples(exposition(families_of(told)))
    assert (
        found[
            "answerable_actions_total",
            tuple(sorted({"tier": "1", "use_case": hostile, "how": "alone"}.items())),
        ]
        == 1
    )
    assert ("answerable_actions_total", of("1", how="alone")) not in found


def served(text=b"answerable_up 1\n", fails=False):
    async def made():
        if fails:
            raise Unavailable("the register is away", code="register.unavailable", port="registers")
        return text

    app = metrics_app(MetricsServices(text=made, content_type=CONTENT_TYPE))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1:9100")


@pytest.mark.requirement("STAT-09")
@pytest.mark.parametrize("host", ["127.0.0.1:9100", "localhost", "[::1]:1"])
async def test_whoever_is_on_this_machine_is_answered(host):
    async with served() as client:
        answer = await client.get("/metrics", headers={"host": host})
    assert (answer.status_code, answer.text) == (200, "answerable_up 1\n")
    assert answer.headers["content-type"] == CONTENT_TYPE


@pytest.mark.requirement("STAT-09")
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},
        {"host": "127.0.0.1.attacker.example"},
        {"host": "attacker.example:9100"},
        {"host": "localhost@attacker.example"},
        {"host": ""},
        {"origin": "http://localhost"},
        {"origin": "null"},
    ],
)
async def test_a_web_page_that_got_here_by_another_name_is_told_nothing(headers):
    async with served() as client:
        answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 421
    assert "answerable_up" not in answer.text


@pytest.mark.requirement("STAT-09")
async def test_it_answers_one_path_to_one_method_and_says_nothing_of_what_is_wrong():
    async with served(fails=True) as client:
        assert (await client.post("/metrics")).status_code == 405
        assert (await client.get("/")).status_code == 404
        answer = await client.get("/metrics")
    assert answer.status_code == 503
    assert "register" not in answer.text


@pytest.mark.requirement("STAT-09")
async def test_however_often_it_is_asked_it_counts_no_faster(monkeypatch):
    bench = await ready()
    asked = 0

    async def counted(*given, **more):
        nonlocal asked
        asked += 1
        return await report_statistics(*given, **more)

    monkeypatch.setattr(telemetry, "report_statistics", counted)
    metrics = telemetry.MetricsText(*to_measure(bench.walk))
    await asyncio.gather(*(metrics.text() for _ in range(100)))
    assert asked == 1
    bench.clock.advance(telemetry.KEPT_SECONDS)
    await bench.act()
    assert b'how="alone",tier="1"' in await metrics.text()
    assert asked == 2


# A collector.


class Collector:
    """Listens on loopback, and does with each connection what it is told to. heard: whole requests."""

    def __init__(self, answer=b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"):
        self.answer, self.heard = answer, []
        self.news = asyncio.Event()

    async def hears(self, count):
        while len(self.heard) < count:
            self.news.clear()
            await self.news.wait()

    async def __call__(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        self.heard.append((head, await reader.readexactly(length)))
        self.news.set()
        if self.answer is None:
            await anyio.sleep_forever()
        with_end = self.answer if isinstance(self.answer, bytes) else b""
        writer.write(with_end)
        if callable(self.answer):
            for piece in self.answer():
                writer.write(piece)
                await writer.drain()
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(collector):
    server = await asyncio.start_server(collector, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/metrics"
    finally:
        server.close()


def message(given):
    return request_of(given, resource={"service.name": "answerable"}, begun_ns=1, now_ns=2)


@pytest.mark.requirement("STAT-10")
async def test_a_collector_gets_the_same_figures_as_prometheus():
    given = await families(await busy())
    collector = Collector()
    async with (
        listening(collector) as endpoint,
        OtlpExporter(endpoint=endpoint, header=("x-team", "one")) as exporter,
    ):
        await exporter.send(message(given))
    ((head, body),) = collector.heard
    assert head.startswith(b"POST /v1/metrics HTTP/1.1\r\n")
    assert b"content-type: application/x-protobuf" in head.lower()
    assert b"x-team: one" in head.lower()
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    metrics = {one.name: one for one in resource.scope_metrics[0].metrics}
    by_prometheus = samples(exposition(given))
    for point in metrics["answerable_actions"].sum.data_points:
        labels = tuple(sorted((one.key, one.value.string_value) for one in point.attributes))
        assert by_prometheus["answerable_actions_total", labels] == point.as_double
    assert metrics["answerable_actions"].sum.is_monotonic
    (decisions,) = metrics["answerable_decision_seconds"].histogram.data_points
    assert (
        sum(decisions.bucket_counts)
        == decisions.count
        == by_prometheus["answerable_decision_seconds_count", ()]
    )
    assert len(decisions.bucket_counts) == len(decisions.explicit_bounds) + 1
    waits = metrics["answerable_question_wait_seconds"]
    assert {point.as_double for point in waits.gauge.data_points} == {90.0}
    assert waits.unit == "s"


def endless():
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    yield head
    for _ in range(64):
        yield b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


ELSEWHERE = b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
HOSTILE = {
    "redirect": (ELSEWHERE, "telemetry.answer"),
    "refused": (b"HTTP/1.1 401 No\r\ncontent-length: 6\r\n\r\nsecret", "telemetry.answer"),
    "nonsense": (b"hello\r\n\r\n", "telemetry.unreachable"),
    "endless": (endless, "telemetry.answer"),
    "nothing": (b"", "telemetry.unreachable"),
}  # fmt: skip


@pytest.mark.requirement("STAT-10")
@pytest.mark.parametrize("how", HOSTILE)
async def test_what_a_hostile_collector_answers_is_an_error_of_ours_that_repeats_none_of_it(how):
    answer, code = HOSTILE[how]
    collector = Collector(answer)
    async with listening(collector) as endpoint, OtlpExporter(endpoint=endpoint) as exporter:
        with pytest.raises(Unavailable) as told:
            await exporter.send(message(await families(await ready())))
    assert told.value.code == code
    assert "secret" not in told.value.message
    assert len(collector.heard) == 1


@pytest.mark.requirement("STAT-10")
async def test_a_collector_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(exporting, "ANSWER_SECONDS_MAX", 0.2)
    async with listening(Collector(None)) as endpoint, OtlpExporter(endpoint=endpoint) as exporter:
        with pytest.raises(Unavailable) as told:
            await exporter.send(message([]))
    assert told.value.code == "telemetry.unreachable"


def settings(text: str) -> tuple[Settings | None, list[str]]:
    tree, found = parse_settings(text.encode(), data=DATA)
    return tree, [f"{fault.key}: {fault.message}" for fault in found]


@pytest.mark.requirement("STAT-09")
@pytest.mark.requirement("STAT-10")
def test_nothing_of_it_is_on_unless_it_is_set():
    tree, _ = settings("")
    assert tree is not None
    assert (tree.telemetry.metrics_port, tree.telemetry.otlp_endpoint) == (0, "")


@pytest.mark.requirement("STAT-10")
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://collector.example.com/v1/metrics",
        "http://127.0.0.1.example.com/",
        "https://",
        "ftp://127.0.0.1/",
        "https://name:password@collector.example.com/",
        "https://collector.example.com/?token=password",
        "https://collector.example.com:0/",
        "https://[::1/",
        "collector.example.com:4318",
    ],
)
def test_metrics_go_nowhere_in_the_clear_and_no_password_is_repeated(endpoint):
    tree, found = settings(f'[telemetry]\notlp_endpoint = "{endpoint}"\n')
    assert tree is None
    assert len(found) == 1
    assert found[0].startswith("telemetry.otlp_endpoint: expected https://HOST/PATH")
    assert "password" not in found[0]


@pytest.mark.requirement("STAT-10")
def test_a_header_without_a_collector_is_a_fault_and_so_is_one_that_is_no_reference():
    _, found = settings('[telemetry]\notlp_header = "file:token"\n')
    assert found == ["telemetry.otlp_header: needs `otlp_endpoint`, which is not set"]
    _, found = settings('[telemetry]\notlp_endpoint = "https://a.example/"\notlp_header = "x: secret"\n')
    assert any("never a value" in one for one in found)
    assert not any("secret" in one.replace("a secret is", "") for one in found)


def sending(directory, endpoint, header=None):
    """Settings that send as fast as may be."""
    tree, _ = settings(f'[telemetry]\notlp_endpoint = "{endpoint}"\notlp_seconds = 1\n')
    assert tree is not None
    telemetry_settings = replace(tree.telemetry, otlp_seconds=0.01)
    if header is not None:
        (directory / "header").write_bytes(header)
        telemetry_settings = replace(telemetry_settings, otlp_header="file:header")
    return replace(tree, data=directory, telemetry=telemetry_settings)


@pytest.mark.requirement("STAT-10")
@pytest.mark.parametrize("header", [b"", b"x", b": y", b"x:", b"x y: z", b"x: y\r\nhost: z", b"x: \xff"])
async def test_a_header_that_is_none_is_refused_before_anything_is_sent(tmp_path, header):
    bench = await ready()
    with pytest.raises(Malformed) as told:
        await telemetry.sending_metrics(
            *to_measure(bench.walk), sending(tmp_path, "http://127.0.0.1:9/", header)
        )
    assert told.value.code == "telemetry.header"


@pytest.mark.requirement("STAT-10")
async def test_a_collector_that_fails_is_told_of_once_and_gets_everything_when_it_is_back(tmp_path, caplog):
    bench = await ready()
    collector = Collector(b"HTTP/1.1 503 Not now\r\ncontent-length: 0\r\n\r\n")
    caplog.set_level(logging.WARNING)
    async with listening(collector) as endpoint, anyio.create_task_group() as tasks:
        tasks.start_soon(
            telemetry.sending_metrics, *to_measure(bench.walk), sending(tmp_path, endpoint, b"x-team: one\n")
        )
        with anyio.fail_after(20):
            await collector.hears(5)
            await bench.act()
            collector.answer = Collector().answer
            await collector.hears(len(collector.heard) + 3)
        tasks.cancel_scope.cancel()
    said = [record.message for record in caplog.records if "metrics" in record.message]
    assert len(said) == 2
    assert "status 503" in said[0]
    assert said[1] == "metrics are sent again"
    last = ExportMetricsServiceRequest.FromString(collector.heard[-1][1])
    names = {one.name for one in last.resource_metrics[0].scope_metrics[0].metrics}
    assert "answerable_actions" in names
