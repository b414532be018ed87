"""Somebody else's SPIFFE Workload API, such as SPIRE's: foreign bundles, and SVIDs to enrol by."""

from __future__ import annotations

from answerable.adapters.workload_api_client.bundles import WorkloadApiBundle
from answerable.adapters.workload_api_client.svid import FetchedSvid, WorkloadApiSvid

__all__ = ["FetchedSvid", "WorkloadApiBundle", "WorkloadApiSvid"]
