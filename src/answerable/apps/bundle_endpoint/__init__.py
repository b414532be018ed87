"""Publish this server's trust bundle to the trust domains that federate with it."""

from __future__ import annotations

from answerable.apps.bundle_endpoint.application import BundleServices, bundle_endpoint_app

__all__ = ["BundleServices", "bundle_endpoint_app"]
