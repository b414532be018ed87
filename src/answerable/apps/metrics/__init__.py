"""The door for those who watch: `/metrics`, on loopback."""

from __future__ import annotations

from answerable.apps.metrics.application import Needs, metrics_app

__all__ = ["Needs", "metrics_app"]
