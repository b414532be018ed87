"""Define the limits and settings of upstream connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Settings of all upstream connections. Sizes are in bytes, times in seconds.

    result_bytes_max: one answer, as canonical JSON. message_bytes_max: one message on the wire.
    connect_seconds_max: from start until the lists are read.
    connect_wait_seconds: how long a call waits for a connection that is being established.
    restart_delay_*: first and longest delay between attempts; it doubles while a server keeps failing.
    steady_seconds: a connection that lasted longer resets the delay.
    write_seconds_max: limit for a server that does not read its input.
    stop_seconds_max: limit of each step of stopping a stdio server's process.
    catalogue_seconds_max: maximum age of a list whose changes the server does not announce.
    connections_max: HTTP connections to one server.
    log_directory: where each server's standard error is stored; None for nowhere.
    log_bytes_max: size at which a log file is rotated.
    mode: as of `mcp.Client`.
    broker_socket: Unix socket by which the broker's targets are reached; None if there is no broker.
    user: account of stdio servers; if empty, see `account.tools_account`.
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
