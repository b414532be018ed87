"""State of a running broker's long-lived secrets: which are known, used or exposed, and what scans content for them.

Law: a change in the store is adopted within one LOOK_SECONDS interval; where the store cannot be read, the last known
state stays in force.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.core.lease.secret_watch import SecretWatch
from answerable.errors import AnswerableError, Refused
from answerable.flows.recording.rounds import until_round

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.lease.stored_secret import StoredSecret
    from answerable.flows.leases.rotate_account import OwnSecret
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.secret_store import SecretStore

LOOK_SECONDS: Final = 1.0
OTHERS_SECONDS: Final = 10.0

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class SecretState:
    """Secrets of one broker. opens: returns the store, None while there is none. own: secrets of the broker's own
    accounts, by name. used_by: names of the secrets that a target uses, by target. refuses_exposed: no action begins at
    a target with an exposed secret.

    elsewhere: secrets outside the store that targets refer to, by a name with a space in it, which no stored secret
    has. Content is scanned for them, too; only this process knows of their exposure.

    known: every stored secret, as last read. exposed: secrets found where they should not be, with the place. untold:
    exposures that the store does not record yet. burnt: exposed secrets from elsewhere, with the value exposed.
    stirred: set when there is something to do.
    """

    opens: Callable[[], SecretStore | None]
    clock: Clock
    entropy: Entropy
    own: Mapping[str, OwnSecret] = field(default_factory=dict)
    used_by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    refuses_exposed: bool = True
    elsewhere: Callable[[], Mapping[str, str]] = dict
    watch: SecretWatch = field(default_factory=lambda: SecretWatch([]))
    known: tuple[StoredSecret, ...] = ()
    exposed: dict[str, str] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)
    stirred: anyio.Event = field(default_factory=anyio.Event)
    seen: object = None
    others: Mapping[str, str] = field(default_factory=dict, repr=False)
    burnt: dict[str, str] = field(default_factory=dict, repr=False)
    watch_others: SecretWatch = field(default_factory=lambda: SecretWatch([]))
    next_others_at: float = 0.0

    @property
    def watches(self) -> tuple[SecretWatch, ...]:
        """Return the watches that have a secret to look for."""
        return tuple(one for one in (self.watch, self.watch_others) if not one.is_idle)


async def look(desk: SecretState) -> None:
    """Adopt the store's state, and record exposures that it lacks. Raises as the store does."""
    await to_thread.run_sync(_look, desk)


async def keep_looking(desk: SecretState) -> None:
    """Read the store until cancelled. Each reason for which it cannot be read is logged once."""
    said = ""
    while True:
        try:
            await look(desk)
            said = ""
        except AnswerableError as failed:
            if failed.message != said:
                said = failed.message
                _log.error(
                    "the store of secrets cannot be read, what was known of it stays in force: %s", said
                )
        await anyio.sleep(until_round(LOOK_SECONDS))


def _look(desk: SecretState) -> None:
    _look_elsewhere(desk)
    store = desk.opens()
    if store is None:
        return
    for name, why in list(desk.untold.items()):
        # A secret that is no longer in the store has no exposure to record.
        with suppress(Refused):
            store.expose(name, why)
        desk.untold.pop(name, None)
    state = store.state()
    if state == desk.seen:
        return
    known, watch = tuple(store.listed()), store.watch()
    exposed = {one.name: one.exposed_why for one in known if one.exposed_at and one.current is not None}
    desk.known, desk.watch, desk.seen = known, watch, state
    burnt = {name: why for name, why in desk.exposed.items() if name in desk.burnt}
    desk.exposed = exposed | desk.untold | burnt
    desk.stirred.set()


def _look_elsewhere(desk: SecretState) -> None:
    """Read files and variables again at intervals. A secret with a new value is no longer exposed."""
    now = desk.clock.monotonic()
    if now < desk.next_others_at:
        return
    desk.next_others_at = now + OTHERS_SECONDS
    others = desk.elsewhere()
    if others == desk.others:
        return
    desk.others, desk.watch_others = others, SecretWatch(others.items())
    for name in [name for name, value in desk.burnt.items() if others.get(name) != value]:
        del desk.burnt[name]
        desk.exposed.pop(name, None)
