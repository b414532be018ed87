"""The metrics endpoint, `/metrics`, on loopback."""

from __future__ import annotations

from answerable.apps.metrics.application import MetricsServices, metrics_app

__all__ = ["MetricsServices", "metrics_app"]
