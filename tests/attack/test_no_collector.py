"""Where no collector is set nobody is sent metrics."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from answerable.adapters.otlp import OtlpExporter
from answerable.wiring import telemetry
from answerable.wiring.setting_tree import Settings
from tests.attack.test_telemetry import sending
from tests.worlds.figures import ready

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("STAT-10")
@pytest.mark.requirement("SAME-15")
async def test_without_a_collector_nothing_is_sent(tmp_path, monkeypatch):
    bench, made = await ready(), []

    class Noted(OtlpExporter):
        def __init__(self, **given):
            made.append(given["endpoint"])
            super().__init__(**given)

    monkeypatch.setattr("answerable.adapters.otlp.OtlpExporter", Noted)
    # It comes back by itself, at once, though it is told to send all the time.
    often = replace(Settings(data=tmp_path).telemetry, otlp_seconds=0.001)
    with anyio.fail_after(10):
        await telemetry.sending_metrics(
            bench.walk.recorder,
            bench.walk.authority,
            bench.walk.deciding,
            replace(Settings(data=tmp_path), telemetry=often),
        )
    assert made == []
    # With one it goes on until it is cancelled, to that one.
    with anyio.move_on_after(0.05) as watched:
        await telemetry.sending_metrics(
            bench.walk.recorder,
            bench.walk.authority,
            bench.walk.deciding,
            sending(tmp_path, "http://127.0.0.1:9/"),
        )
    assert (made, watched.cancelled_caught) == (["http://127.0.0.1:9/"], True)
