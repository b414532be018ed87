"""The bundle endpoint: our own trust bundle for whoever federates with us."""

from __future__ import annotations

from answerable.apps.bundle_endpoint.application import BundleServices, bundle_endpoint_app

__all__ = ["BundleServices", "bundle_endpoint_app"]
