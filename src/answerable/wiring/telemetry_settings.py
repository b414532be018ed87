"""Settings of metrics for operators: `/metrics`, and an OpenTelemetry collector."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from answerable.setting_fields import number, reference, seconds, text

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """What operators watch. All of it is off unless it is set here, and none of it is evidence."""

    metrics_port: int = number(
        0,
        "TCP port on loopback that serves `/metrics` to every user of this machine; 0 opens none",
        unit="port",
        minimum=0,
        maximum=65_535,
    )
    otlp_endpoint: str = text(
        "",
        "address to which metrics are posted (OTLP over HTTP), path and all, such as "
        "https://collector.example.com/v1/metrics; http:// on loopback only; empty sends none",
    )
    otlp_header: str = reference("header that the collector requires, as `NAME: VALUE`")
    otlp_seconds: float = seconds(60.0, "time between two posts", minimum=1, maximum=3_600)


def telemetry_faults(settings: TelemetrySettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault, beyond the form of each field."""
    if not settings.otlp_endpoint:
        if settings.otlp_header:
            yield "telemetry.otlp_header", "needs `otlp_endpoint`, which is not set"
        return
    try:
        parts = urlsplit(settings.otlp_endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    private = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    if not host or not private or parts.query or parts.fragment or "@" in parts.netloc or port == 0:
        # The faulty part may be a password, so it is not shown.
        yield (
            "telemetry.otlp_endpoint",
            "expected https://HOST/PATH, or http:// on loopback, without user or query",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
