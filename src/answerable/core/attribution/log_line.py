"""One line of a target's own log, as its reader understood it.

Law: a line keeps names and keys only, so that what people and other services did is not copied; what it says of content
is compared with the record of a step of ours, and dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.attribution.content import Said

LogKind = Literal[
    "postgres", "mariadb", "sshd", "journald", "rabbitmq", "redis", "nats", "nginx", "cloudtrail", "ocsf"
]
LOG_KINDS: Final[tuple[LogKind, ...]] = get_args(LogKind)
"""Kinds of logs that there are readers for."""
SESSION_KINDS: Final[Mapping[LogKind, str]] = {
    "postgres": "pg",
    "mariadb": "mariadb",
    "sshd": "ssh",
    "journald": "ssh",
    "rabbitmq": "rabbitmq",
    "redis": "redis",
    "nats": "nats",
    "nginx": "http",
    "cloudtrail": "aws",
}
"""How the names of sessions begin that targets of this kind tell; OCSF has lines of any."""
TIME_MAX_MS: Final = 253_402_300_799_999
"""The last instant of the year 9999."""
Unreadable = Literal["broken", "ambiguous"]
"""broken: not of the log's form. ambiguous: a text that the client chose makes two readings of the line possible."""


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """number: of the line in its file, from 1. at: Unix milliseconds; 0 where the line has no time. account: whom the
    target authenticated; empty where it had not yet. keys: the server's own names of the session as recorded with
    actions, such as `("pg_session", "68f0a1b2.1f3c")`; the first identifies it, the others must agree. label: what the
    client calls itself; anybody may set it. login: a second name under which the account may be governed, such as the
    Unix user of a certificate. is_full: the server refused the login for want of room. content: what it says of the
    content of the action. origin: what else tells its session from others, such as the server's process and the
    client's port; it proves nothing."""

    number: int
    at: int
    account: str
    keys: tuple[tuple[str, str], ...] = ()
    label: str = ""
    login: str = ""
    is_full: bool = False
    content: tuple[Said, ...] = ()
    origin: str = ""


class Whose(msgspec.Struct, frozen=True, gc=False):
    """Whose log it is. kind: of its targets, as the names of their sessions begin; empty where it may have any.
    targets: names of the targets; empty where they were not given."""

    kind: str = ""
    targets: frozenset[str] = frozenset()

    def kind_of(self, line: LogLine) -> str:
        """Return the kind of target that a line is of; empty where it is not known."""
        return line.keys[0][0].partition("_")[0] if line.keys else self.kind

    def has(self, target: str) -> bool:
        return not self.targets or target in self.targets


class UnreadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that the reader could not read."""

    number: int
    why: Unreadable
