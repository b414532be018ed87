"""Read files of targets' logs, each by the reader of its kind, and the steps of a ledger to compare."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from answerable.adapters.log_readers import (
    JournaldLog,
    LinePrefix,
    LogTimes,
    MariadbLog,
    PostgresLog,
    RabbitmqLog,
    SshdLog,
    bounded_lines,
    offset_of,
)
from answerable.adapters.system import SystemClock
from answerable.core.attribution.step_index import StepIndex
from answerable.core.ledger.opened import leaf_of
from answerable.errors import shown
from answerable.errors.codes.attribution import ATTRIBUTE_ZONE
from answerable.errors.codes.services import CLI_FILE
from answerable.wiring.ledger_copy import copied_entries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.core.attribution.log_line import LogKind, LogLine, UnreadLine


def recorded_steps(directory: Path, *, complete_until: int = 0) -> StepIndex:
    """Return the steps of a ledger's directory, or a copy of one. complete_until: as in `StepIndex`. Raises as
    `copied_entries`."""
    leaves = ((stored.index, leaf_of(stored)) for stored in copied_entries(directory))
    return StepIndex(leaves, complete_until=complete_until)


class LogFiles:
    """Opens files of one kind. prefix: PostgreSQL's `log_line_prefix`; empty for its other forms. zone: of times that
    name none; empty where it is not known. Raises Malformed (`attribute.prefix`, `attribute.zone`)."""

    def __init__(self, kind: LogKind, *, prefix: str = "", zone: str = "") -> None:
        self._kind = kind
        self._prefix = LinePrefix(prefix) if prefix else None
        offset = offset_of(zone)
        if zone and offset is None:
            raise ATTRIBUTE_ZONE(f"{shown(zone, 40)} is not a time zone: give an offset such as `+01:00`")
        self._times = LogTimes(zone=offset, now=SystemClock().now())

    @contextmanager
    def opened(self, path: Path) -> Iterator[Iterator[LogLine | UnreadLine]]:
        """Open a file, and yield its lines. Raises Malformed (`cli.file`) where it cannot be opened or read."""
        try:
            with path.open("rb") as file:
                yield self._reader().read(bounded_lines(file))
        except OSError as error:
            raise CLI_FILE(f"cannot read {shown(path)}: {(error.strerror or 'unknown').lower()}") from None

    def _reader(self) -> PostgresLog | MariadbLog | SshdLog | JournaldLog | RabbitmqLog:
        match self._kind:
            case "postgres":
                return PostgresLog(self._times, self._prefix)
            case "mariadb":
                return MariadbLog(self._times)
            case "sshd":
                return SshdLog(self._times)
            case "journald":
                return JournaldLog(self._times)
            case "rabbitmq":
                return RabbitmqLog(self._times)
