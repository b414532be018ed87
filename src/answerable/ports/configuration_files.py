"""Port: read the configuration files that a caller names, to search them for standing secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """One file. fault: why it was not read, in words; empty where `text` holds its content. owner: the account that
    owns it. changed_at: its last modification. readers: other accounts that may read it, in words; empty for none."""

    path: str
    text: str = field(default="", repr=False)
    fault: str = ""
    owner: str = ""
    changed_at: UnixMillis | int = 0
    readers: str = ""


class ConfigurationFiles(Protocol):
    """Promises: changes nothing; follows no link out of the named paths; never waits; bounds the number of files and
    the bytes of each, and names what was left out. Raises nothing."""

    def shown(self, paths: Iterable[str]) -> Iterable[ShownFile]:
        """Yield each named file, and the files below each named directory that may hold configuration."""
        ...
