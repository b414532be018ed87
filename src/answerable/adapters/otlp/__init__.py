"""Export metrics to an OpenTelemetry collector."""

from __future__ import annotations

from answerable.adapters.otlp.exporter import OtlpExporter
from answerable.adapters.otlp.messages import request_of

__all__ = ["OtlpExporter", "request_of"]
