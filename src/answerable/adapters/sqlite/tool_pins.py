"""Pinned tool definitions in SQLite, with a mirror of those in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import octets, read, text, whole
from answerable.core.identity.principal import UnixMillis, principal_id
from answerable.core.registry.tool_pin import ToolPin, check_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore

PIN_COLUMNS = "server, tool, definition, text, at, signed_by, key, token, number"


class SqliteToolPinRegister:
    """Port ToolPinRegister. Rows are only ever added; the newest of a tool, by number, is in force."""

    def __init__(self, store: SqliteStore) -> None:
        """Raises Unavailable (`register.unavailable`, `register.corrupt`)."""
        self._store = store
        self._current: dict[tuple[str, str], tuple[int, ToolPin]] = {}
        self._read = 0
        store.mirror(self._reload)

    def put(self, pin: ToolPin, *, over: str) -> None:
        """As the port says."""
        # The file decides, not the mirror: another process may have put one since, and then it holds here at once.
        with self._store.write() as connection:
            row = connection.execute(
                f"SELECT {PIN_COLUMNS} FROM tool_pins WHERE server = ? AND tool = ? ORDER BY number DESC LIMIT 1",  # noqa: S608
                (pin.server, pin.tool),
            ).fetchone()
            number, kept = pin_in_row(row) if row is not None else (0, None)
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
        """As the port says."""
        kept = self._current.get((server, tool))
        return kept[1] if kept is not None else None

    def all(self) -> Sequence[ToolPin]:
        """As the port says."""
        return tuple(self._current[place][1] for place in sorted(self._current))

    def history(self, server: str, tool: str) -> Sequence[ToolPin]:
        """As the port says."""
        query = f"SELECT {PIN_COLUMNS} FROM tool_pins WHERE server = ? AND tool = ? ORDER BY number DESC"  # noqa: S608
        return tuple(pin_in_row(row)[1] for row in self._store.rows(query, (server, tool)))

    def _reload(self) -> None:
        """Rows never change once they are there, so only new ones are read."""
        query = f"SELECT {PIN_COLUMNS} FROM tool_pins WHERE number > ? ORDER BY number"  # noqa: S608
        for row in self._store.rows(query, (self._read,)):
            number, pin = pin_in_row(row)
            self._hold(number, pin)
            self._read = number

    def _hold(self, number: int, pin: ToolPin) -> None:
        """A refresh in another thread may have seen a still later one meanwhile."""
        kept = self._current.get((pin.server, pin.tool))
        if kept is None or kept[0] < number:
            self._current[pin.server, pin.tool] = (number, pin)


def pin_in_row(row: tuple[object, ...]) -> tuple[int, ToolPin]:
    server, tool = text(row[0]), text(row[1])
    with read("definition of tool", f"{server}/{tool}"):
        signed_by = text(row[5])
        pin = ToolPin(
            server=server,
            tool=tool,
            definition=text(row[2]),
            text=octets(row[3]),
            at=UnixMillis(whole(row[4])),
            signed_by=principal_id(signed_by) if signed_by else "",
            key=text(row[6]),
            token=text(row[7]),
        )
    return whole(row[8]), pin
