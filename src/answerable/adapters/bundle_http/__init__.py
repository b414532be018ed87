"""Serve and fetch trust bundles over HTTPS (SPIFFE Federation, section 5)."""

from __future__ import annotations

from answerable.adapters.bundle_http.client import HttpBundleEndpoint
from answerable.adapters.bundle_http.serving import LiveTLS

__all__ = ["HttpBundleEndpoint", "LiveTLS"]
