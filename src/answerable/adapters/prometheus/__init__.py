"""Expose metrics for Prometheus: families of samples, and their text format."""

from __future__ import annotations

from answerable.adapters.prometheus.channel_families import channel_families
from answerable.adapters.prometheus.door_families import door_families
from answerable.adapters.prometheus.families import families_of
from answerable.adapters.prometheus.log_families import log_families
from answerable.adapters.prometheus.text import CONTENT_TYPE, exposition

__all__ = ["CONTENT_TYPE", "channel_families", "door_families", "exposition", "families_of", "log_families"]
