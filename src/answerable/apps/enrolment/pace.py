"""Limit the requests of each instance, so that none can fill the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors.codes.workloads import INSTANCE_TOO_OFTEN

if TYPE_CHECKING:
    from answerable.core.identity.names.spiffe_id import SpiffeId

WINDOW_SECONDS: Final = 60.0
REMEMBERED_MAX: Final = 65_536
"""Instances that are counted; past this number all windows restart."""


class Pace:
    """Counts requests per instance and minute. For the event loop's thread only. Times are monotonic seconds."""

    __slots__ = ("_counts", "_requests_max")

    def __init__(self, requests_max: int) -> None:
        self._requests_max = requests_max
        self._counts: dict[SpiffeId, tuple[float, int]] = {}

    def count(self, instance: SpiffeId, *, at: float) -> None:
        """Count one request. Raises Refused (`instance.too_often`)."""
        began, count = self._counts.get(instance, (at, 0))
        if at - began >= WINDOW_SECONDS:
            began, count = at, 0
        if count >= self._requests_max:
            raise INSTANCE_TOO_OFTEN(f"an instance may send at most {self._requests_max} requests a minute")
        if instance not in self._counts and len(self._counts) >= REMEMBERED_MAX:
            self._counts.clear()
        self._counts[instance] = (began, count + 1)
