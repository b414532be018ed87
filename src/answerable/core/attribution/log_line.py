"""One line of a target's own log, as its reader understood it.

Law: a line keeps names and keys only, never the text of a statement or message, so that what people and other services
did is not copied.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

LogKind = Literal[
    "postgres", "mariadb", "sshd", "journald", "rabbitmq", "redis", "nats", "nginx", "cloudtrail", "ocsf"
]
LOG_KINDS: Final[tuple[LogKind, ...]] = get_args(LogKind)
"""Kinds of logs that there are readers for."""
Unreadable = Literal["broken", "ambiguous"]
"""broken: not of the log's form. ambiguous: a text that the client chose makes two readings of the line possible."""


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """number: of the line in its file, from 1. at: Unix milliseconds; 0 where the line has no time. account: whom the
    target authenticated; empty where it had not yet. keys: the server's own names of the session as recorded with
    actions, such as `("pg_session", "68f0a1b2.1f3c")`; the first identifies it, the others must agree. label: what the
    client calls itself; anybody may set it. login: a second name under which the account may be governed, such as the
    Unix user of a certificate. is_full: the server refused the login for want of room."""

    number: int
    at: int
    account: str
    keys: tuple[tuple[str, str], ...] = ()
    label: str = ""
    login: str = ""
    is_full: bool = False


class UnreadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that the reader could not read."""

    number: int
    why: Unreadable
