"""Port: configuration that somebody shows, to be looked through for standing secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """One file. fault: why it was not read, in words; empty where `text` is what it holds. owner: account that owns it.
    changed_at: when it last was. readers: who else may read it, in words; empty for nobody."""

    path: str
    text: str = field(default="", repr=False)
    fault: str = ""
    owner: str = ""
    changed_at: UnixMillis | int = 0
    readers: str = ""


class ConfigurationFiles(Protocol):
    """Promises: nothing is changed, no link leads out of what was shown, nothing is waited for; how many files and how
    much of each is bounded, and what was left out for it is named. Raises nothing."""

    def shown(self, paths: Iterable[str]) -> Iterable[ShownFile]:
        """Each file that is named, and those below each directory that may hold configuration."""
        ...
