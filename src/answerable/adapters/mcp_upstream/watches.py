"""Who waits for changes on one upstream. It outlives connections: whoever reconnects asks for what is still wanted."""

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
    """changed: set whenever what is wanted has changed; whoever follows replaces it before looking."""

    __slots__ = ("_listeners", "_uris", "changed")

    def __init__(self) -> None:
        self._uris: dict[str, int] = {}
        self._listeners: dict[Watch, Listener] = {}
        self.changed = anyio.Event()

    @property
    def wanted(self) -> frozenset[str]:
        """Resource URIs that somebody waits for."""
        return frozenset(self._uris)

    def open(self, listener: Listener) -> Watch:
        """A watch that hears every event of this upstream until it is closed."""
        watch = Watch(self)
        self._listeners[watch] = listener
        return watch

    def emit(self, method: str, uri: str = "") -> None:
        """Tell everybody; a listener that raises costs only itself."""
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
    """One waiting caller. Closing it, once or more often, gives back every URI it added."""

    __slots__ = ("_own", "_watches")

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._own: set[str] = set()

    def add(self, uri: str) -> bool:
        """Want updates of a resource; False past the bound on URIs."""
        if uri not in self._own:
            if not self._watches._take(uri):
                return False
            self._own.add(uri)
        return True

    def drop(self, uri: str) -> None:
        """Want them no longer."""
        if uri in self._own:
            self._own.discard(uri)
            self._watches._give(uri)

    def close(self) -> None:
        """Hear nothing more."""
        for uri in list(self._own):
            self.drop(uri)
        self._watches._close(self)
