"""Record which callers wait for changes on one upstream. The record outlives connections: a new connection subscribes
to what is still wanted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[[str, str], None]
    """Called with the notification's method and, for `notifications/resources/updated`, the resource's URI."""

URIS_MAX: Final = 10_000

_log = logging.getLogger(__name__)


class Watches:
    """The watches of one upstream. changed: set whenever the wanted set changes; a follower replaces it before reading
    the set."""

    __slots__ = ("_listeners", "_uris", "changed")

    def __init__(self) -> None:
        self._uris: dict[str, int] = {}
        self._listeners: dict[Watch, Listener] = {}
        self.changed = anyio.Event()

    @property
    def wanted(self) -> frozenset[str]:
        """Resource URIs that at least one watch wants."""
        return frozenset(self._uris)

    def open(self, listener: Listener) -> Watch:
        """Open a watch that receives every event of this upstream until it is closed."""
        watch = Watch(self)
        self._listeners[watch] = listener
        return watch

    def emit(self, method: str, uri: str = "") -> None:
        """Notify all listeners. A listener that raises does not affect the others."""
        for listener in list(self._listeners.values()):
            try:
                listener(method, uri)
            except Exception:
                _log.exception("a listener for %s failed", method)

    def _take(self, uri: str) -> bool:
        if uri not in self._uris and len(self._uris) >= URIS_MAX:
            return False
        self._uris[uri] = self._uris.get(uri, 0) + 1
        self.changed.set()
        return True

    def _give(self, uri: str) -> None:
        left = self._uris.get(uri, 0) - 1
        if left > 0:
            self._uris[uri] = left
        else:
            self._uris.pop(uri, None)
            self.changed.set()

    def _close(self, watch: Watch) -> None:
        self._listeners.pop(watch, None)


class Watch:
    """One waiting caller. Closing it, once or repeatedly, removes every URI that it added."""

    __slots__ = ("_own", "_watches")

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._own: set[str] = set()

    def add(self, uri: str) -> bool:
        """Request updates of a resource; False if the limit of URIs is reached."""
        if uri not in self._own:
            if not self._watches._take(uri):
                return False
            self._own.add(uri)
        return True

    def drop(self, uri: str) -> None:
        """Stop requesting updates of a resource."""
        if uri in self._own:
            self._own.discard(uri)
            self._watches._give(uri)

    def close(self) -> None:
        """Stop receiving events."""
        for uri in list(self._own):
            self.drop(uri)
        self._watches._close(self)
