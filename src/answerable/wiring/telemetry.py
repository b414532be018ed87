"""Metrics for operators: the text of `/metrics`, its listener, and export to a collector. No metric is evidence, and
nothing waits for them."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import anyio

from answerable import __version__
from answerable.adapters.uvicorn_front import FrontLimits, listen, serve
from answerable.errors import Unavailable
from answerable.errors.codes.services import TELEMETRY_HEADER
from answerable.flows.approval.owed_reviews import counted_reviews
from answerable.flows.approval.report_statistics import report_statistics
from answerable.flows.approval.try_channel import channel_states
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import Metric

    from answerable.api.log_answers import FollowedLog
    from answerable.core.ledger.describe_statistics import StatisticsView
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.steps import Deciding
    from answerable.wiring.setting_tree import Settings

LOOPBACK: Final = "127.0.0.1"
READ_SECONDS_MAX: Final = 0.2
"""Counting time for one answer. Entries not counted by then are counted for the next one."""
KEPT_SECONDS: Final = 1.0
"""How long one text is served again, so that frequent requests do not cause frequent counting."""

_log: Final = logging.getLogger(__name__)


class MetricsText:
    """The metrics of this process as text, generated at most once in KEPT_SECONDS."""

    def __init__(
        self,
        recorder: Recorder,
        authority: AuthorityRegisters,
        deciding: Deciding,
        logs: Callable[[], tuple[FollowedLog, ...]] = tuple,
    ) -> None:
        """logs: returns how far the logs of targets were read."""
        from answerable.adapters.prometheus import CONTENT_TYPE

        self.content_type = CONTENT_TYPE
        self._recorder, self._authority, self._deciding = recorder, authority, deciding
        self._logs = logs
        self._made = anyio.Lock()
        self._text = b""
        self._until = float("-inf")

    async def text(self) -> bytes:
        """Return the text. Raises Unavailable, Broken (`ledger.*`)."""
        from answerable.adapters.prometheus import exposition

        async with self._made:
            now = self._recorder.clock.monotonic()
            if now >= self._until:
                found = await report_statistics(
                    self._recorder,
                    self._authority.registry,
                    self._deciding.asking.figures,
                    self._deciding.policies,
                    others=False,
                    seconds_max=READ_SECONDS_MAX,
                )
                self._text = exposition(await _families(self._authority, self._deciding, found, self._logs()))
                self._until = now + KEPT_SECONDS
            return self._text


async def serve_metrics(app: Any, settings: Settings, stop: anyio.Event, up: Callable[[], None]) -> None:
    """Serve `/metrics` until `stop` is set. up: called once it answers. Raises Unavailable (`front.*`)."""
    await serve(
        app,
        listeners=listen(tcp=(LOOPBACK, settings.telemetry.metrics_port), setting="telemetry.metrics_port"),
        limits=FrontLimits(**asdict(settings.front)),
        started=lambda _: up(),
        stop=stop,
    )


async def sending_metrics(
    recorder: Recorder,
    authority: AuthorityRegisters,
    deciding: Deciding,
    settings: Settings,
    logs: Callable[[], tuple[FollowedLog, ...]] = tuple,
) -> None:
    """Until cancelled, send metrics to the configured collector; returns at once without one. logs: as in MetricsText.

    A collector that does not accept them is logged when the failures begin and when they end.
    """
    endpoint = settings.telemetry.otlp_endpoint
    if not endpoint:
        return
    from answerable.adapters.otlp import OtlpExporter, request_of

    begun = recorder.clock.now()
    resource = {
        "service.name": "answerable",
        "service.instance.id": recorder.ledger.origin,
        "service.version": __version__,
    }
    failing = ""
    async with OtlpExporter(endpoint=endpoint, header=exporter_header(settings)) as exporter:
        while True:
            await anyio.sleep(settings.telemetry.otlp_seconds)
            try:
                found = await report_statistics(
                    recorder,
                    authority.registry,
                    deciding.asking.figures,
                    deciding.policies,
                    others=False,
                    seconds_max=READ_SECONDS_MAX,
                )
                await exporter.send(
                    request_of(
                        await _families(authority, deciding, found, logs()),
                        resource=resource,
                        begun_ns=begun * 1_000_000,
                        now_ns=found.at * 1_000_000,
                    )
                )
            except Unavailable as failed:
                if failed.code != failing:
                    _log.warning("metrics cannot be sent now: %s", failed.message)
                failing = failed.code
                continue
            if failing:
                _log.warning("metrics are sent again")
            failing = ""


async def _families(
    authority: AuthorityRegisters,
    deciding: Deciding,
    found: StatisticsView,
    logs: tuple[FollowedLog, ...],
) -> list[Metric]:
    """Return all metrics. Raises Unavailable."""
    from answerable.adapters.prometheus import channel_families, door_families, families_of, log_families

    channels = channel_families(await channel_states(deciding.asking.reach, authority.clock))
    return [
        *families_of(found, counted_reviews(authority.approvals, deciding.asking.limits, authority.clock)),
        *channels,
        *door_families(deciding.counters.door_refusals.totals),
        *log_families(logs),
    ]


def exporter_header(settings: Settings) -> tuple[str, str] | None:
    """Return the exporter's header. Raises Malformed (`telemetry.header`), and as `secret`."""
    if not settings.telemetry.otlp_header:
        return None
    text = secret(settings.telemetry.otlp_header, data=settings.data)
    try:
        name, colon, value = text.decode("ascii").strip().partition(":")
    except UnicodeDecodeError:
        name, colon, value = "", "", ""
    plain = bool(name) and all(one.isalnum() or one in "-_" for one in name)
    if not plain or not colon or not value.strip() or not value.strip().isprintable():
        raise TELEMETRY_HEADER()
    return name, value.strip()
