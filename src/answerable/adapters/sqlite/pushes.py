"""Store the devices that receive push messages, in SQLite. No mirror: no action waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.core.approval.push_device import PushDevice
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors.codes.approval import PUSH_FULL
from answerable.ports.push_register import DEVICES_OF_ONE_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.identity.names.principal import UnixMillis

_FIND: Final = "SELECT person, endpoint, key, secret, label, made_at FROM push_devices"


class SqlitePushRegister:
    """Implements ports.push_register.PushRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def add(self, device: PushDevice) -> None:
        with self._store.write() as connection:
            count = "SELECT count(*) FROM push_devices WHERE person = ? AND id <> ?"
            (others,) = connection.execute(count, (device.person, device.id)).fetchone()
            if others >= DEVICES_OF_ONE_MAX:
                raise PUSH_FULL(
                    f"you have {DEVICES_OF_ONE_MAX} registered devices, which is the limit: remove one first"
                )
            connection.execute("DELETE FROM push_devices WHERE id = ?", (device.id,))
            connection.execute(
                "INSERT INTO push_devices (id, person, endpoint, key, secret, label, made_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    device.id,
                    device.person,
                    device.endpoint,
                    device.key,
                    device.secret,
                    device.label,
                    device.made_at,
                ),
            )

    def find(self, device: str) -> PushDevice | None:
        rows = self._store.rows(f"{_FIND} WHERE id = ?", (device,))
        return _device(rows[0]) if rows else None

    def of(self, person: str) -> Sequence[PushDevice]:
        rows = self._store.rows(f"{_FIND} WHERE person = ? ORDER BY number", (person,))
        return tuple(_device(row) for row in rows)

    def remove(self, device: str, *, person: str = "") -> bool:
        with self._store.write() as connection:
            removed = connection.execute(
                "DELETE FROM push_devices WHERE id = ? AND (? = '' OR person = ?)", (device, person, person)
            )
            return removed.rowcount == 1


def _device(row: tuple[object, ...]) -> PushDevice:
    person, endpoint, key, secret, label, made_at = row
    return PushDevice(
        person=PrincipalId(text(person)),
        endpoint=text(endpoint),
        key=octets(key),
        secret=octets(secret),
        label=text(label),
        made_at=cast("UnixMillis", whole(made_at)),
    )
