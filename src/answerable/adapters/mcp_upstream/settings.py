"""Every bound of an upstream connection, with its unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """result_bytes_max: of one answer, as canonical JSON. message_bytes_max: of one message on the wire.

    connect_seconds_max: from start to listed. connect_wait_seconds: how long a call waits for a connection that is
    being made. restart_delay_*: doubled from the first to the last while a server keeps failing; one that held for
    `steady_seconds` starts again at the first. write_seconds_max: for a server that does not read its input.
    catalogue_seconds_max: age of a list that the server does not announce changes of. log_directory: where the
    standard error of each server is kept, none when None. mode: as `mcp.Client`. broker_socket: on which the broker's
    targets are reached; without it they are not. user: account that servers over stdio run under; where empty as
    `account.tools_account` says.
    """

    result_bytes_max: int = 4 * 1024 * 1024
    message_bytes_max: int = 6 * 1024 * 1024
    connect_seconds_max: float = 20.0
    connect_wait_seconds: float = 2.0
    restart_delay_seconds: float = 0.1
    restart_delay_seconds_max: float = 15.0
    steady_seconds: float = 5.0
    write_seconds_max: float = 10.0
    stop_seconds_max: float = 2.0
    catalogue_seconds_max: float = 30.0
    connections_max: int = 512
    log_directory: Path | None = None
    broker_socket: Path | None = None
    log_bytes_max: int = 1_048_576
    user: str = ""
    mode: str = "auto"
