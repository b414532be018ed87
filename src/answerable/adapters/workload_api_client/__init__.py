"""Use another system's SPIFFE Workload API, such as SPIRE's: for foreign bundles, and for SVIDs to enrol with."""

from __future__ import annotations

from answerable.adapters.workload_api_client.bundles import WorkloadApiBundle
from answerable.adapters.workload_api_client.svid import FetchedSvid, WorkloadApiSvid

__all__ = ["FetchedSvid", "WorkloadApiBundle", "WorkloadApiSvid"]
