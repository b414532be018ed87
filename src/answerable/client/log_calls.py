"""Operations of the control API on the subject `log`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.log_answers import LogsAnswer
from answerable.client.transport import WAIT_SECONDS_MAX, Transport


def list_logs(control: Transport, *, seconds_max: float = WAIT_SECONDS_MAX) -> LogsAnswer:
    """Logs of targets that are followed: how far each was read, how late, and what its lines are."""
    return control.answer_as(LogsAnswer, "GET", "/v1/logs", seconds_max=seconds_max)
