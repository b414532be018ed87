"""The logs of targets that are followed: how far each was read, and how late. Another process reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api.log_answers import LogsAnswer
from answerable.apps.control_api.operation import Operation, operation

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call


@operation(
    "GET",
    "/v1/logs",
    id="list_logs",
    summary="Logs of targets that are followed: how far each was read, how late, and what its lines are",
    answer=LogsAnswer,
    is_long=True,
)
async def list_logs(call: Call) -> LogsAnswer:
    """Return the logs that the settings name."""
    found = await call.product.searches.logs()
    return found.logs


OPERATIONS: Final[tuple[Operation, ...]] = (list_logs,)
