"""Store pinned tool definitions in SQLite, with a mirror of those in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.adapters.sqlite.unreadable import named
from answerable.core.identity.names.principal import UnixMillis, principal_id
from answerable.core.registry.tools.tool_pin import ToolPin, check_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore

PIN_COLUMNS = "server, tool, definition, text, at, signed_by, key, token, number"


_WHAT: Final = "definition of tool"


class SqliteToolPinRegister:
    """Port ToolPinRegister. Rows are only added; a tool's newest row, by number, is in force."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._current: dict[tuple[str, str], tuple[int, ToolPin]] = {}
        self._out_of_use: set[tuple[str, str]] = set()
        self._read = 0
        store.mirror(self._reload, register="tool_pins")

    def put(self, pin: ToolPin, *, over: str) -> None:
        # The file decides, not the mirror: another process may have added one since, which then takes effect at once.
        with self._store.write() as connection:
            row = connection.execute(
                f"SELECT {PIN_COLUMNS} FROM tool_pins WHERE server = ? AND tool = ? ORDER BY number DESC LIMIT 1",  # noqa: S608
                (pin.server, pin.tool),
            ).fetchone()
            number, kept = whole(row[8]) if row is not None else 0, self._made(row)
            if kept is not None:
                self._hold(number, kept)
            if kept != pin:
                check_order(pin, kept, over=over)
                number = connection.execute(
                    "INSERT INTO tool_pins (server, tool, definition, text, at, signed_by, key, token) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        pin.server, pin.tool, pin.definition, pin.text, pin.at, pin.signed_by, pin.key, pin.token,
                    ),
                ).lastrowid or 0  # fmt: skip
        self._hold(number, pin)

    def current(self, server: str, tool: str) -> ToolPin | None:
        kept = self._current.get((server, tool))
        return kept[1] if kept is not None else None

    def is_unreadable(self, server: str, tool: str) -> bool:
        return (server, tool) in self._out_of_use

    def all(self) -> Sequence[ToolPin]:
        return tuple(self._current[place][1] for place in sorted(self._current))

    def history(self, server: str, tool: str) -> Sequence[ToolPin]:
        query = f"SELECT {PIN_COLUMNS} FROM tool_pins WHERE server = ? AND tool = ? ORDER BY number DESC"  # noqa: S608
        rows = self._store.rows(query, (server, tool))
        return tuple(self._store.unreadable.each("former definition of tool", rows, pin_in_row, 0, 1, 8))

    def _reload(self) -> None:
        """Read new rows only, since stored rows never change."""
        query = f"SELECT {PIN_COLUMNS} FROM tool_pins WHERE number > ? ORDER BY number"  # noqa: S608
        for row in self._store.rows(query, (self._read,)):
            pin, number = self._made(row), whole(row[8])
            if pin is not None:
                self._hold(number, pin)
            else:
                # An older definition does not come back into force.
                place = named(row[0]), named(row[1])
                self._current.pop(place, None)
                self._out_of_use.add(place)
            self._read = number

    def _made(self, row: tuple[object, ...] | None) -> ToolPin | None:
        if row is None:
            return None
        name = f"{named(row[0])}/{named(row[1])}"
        return self._store.unreadable.made(_WHAT, name, lambda: pin_in_row(row))

    def _hold(self, number: int, pin: ToolPin) -> None:
        """Update the mirror, unless a refresh in another thread has read a later row meanwhile."""
        kept = self._current.get((pin.server, pin.tool))
        if kept is None or kept[0] < number:
            self._current[pin.server, pin.tool] = (number, pin)
            self._out_of_use.discard((pin.server, pin.tool))


def pin_in_row(row: tuple[object, ...]) -> ToolPin:
    signed_by = text(row[5])
    return ToolPin(
        server=text(row[0]),
        tool=text(row[1]),
        definition=text(row[2]),
        text=octets(row[3]),
        at=UnixMillis(whole(row[4])),
        signed_by=principal_id(signed_by) if signed_by else "",
        key=text(row[6]),
        token=text(row[7]),
    )
