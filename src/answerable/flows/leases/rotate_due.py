"""Rotate due secrets in the running broker: on schedule, after exposure, and after an interrupted rotation.

Laws: one target that does not answer delays no other; a failed rotation is repeated without end, with growing pauses; a
secret that the broker cannot change is reported once per reason, and stays due.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError
from answerable.flows.leases.rotate_account import rotate_account
from answerable.flows.leases.secret_desk import look
from answerable.flows.state.target_calls import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.abc import TaskGroup

    from answerable.core.lease.stored_secret import StoredSecret
    from answerable.flows.leases.rotate_account import OwnSecret
    from answerable.flows.leases.secret_desk import SecretState

EVERY_SECONDS: Final = 60.0
PAUSE_SECONDS_MIN: Final = 5.0
PAUSE_SECONDS_MAX: Final = 3_600.0
_DOUBLINGS_MAX: Final = 12

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Attempts:
    """Attempts by secret name. failed: failures in a row, and when to try again. said: the last reported reason, of
    secrets that the broker cannot change."""

    going: set[str] = field(default_factory=set)
    failed: dict[str, tuple[int, float]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)


async def keep_rotating(desk: SecretState) -> None:
    """Rotate every secret as soon as it is known to be due, until cancelled."""
    attempts = _Attempts()
    async with anyio.create_task_group() as tasks:
        while True:
            # Replace the event before checking: a change after that sets the new event.
            stirred = desk.stirred = anyio.Event()
            _begin(desk, attempts, tasks)
            with anyio.move_on_after(_pause(desk, attempts)):
                await stirred.wait()


def due_now(desk: SecretState) -> Iterator[tuple[StoredSecret, str]]:
    """Yield each secret that must be replaced, with the reason, and each whose rotation was interrupted."""
    now = desk.clock.now()
    for one in desk.known:
        if one.kind != "static" or one.current is None:
            continue
        why = one.due(now)
        if not why and one.name in desk.exposed:
            why = f"it was exposed: {desk.exposed[one.name]}"
        if why or one.prepared_at:
            yield one, why or "its rotation was cut off"


def _begin(desk: SecretState, attempts: _Attempts, tasks: TaskGroup) -> None:
    due = {one.name: why for one, why in due_now(desk)}
    for name in attempts.said.keys() - due.keys():
        del attempts.said[name]
    for name, why in due.items():
        own = desk.own.get(name)
        if own is None or own.account is None:
            if attempts.said.get(name) != why:
                attempts.said[name] = why
                reason = (
                    own.why_not if own is not None else "it is no password of an account of the broker's own"
                )
                _log.warning("the secret %s is to be replaced by hand: %s (%s)", name, why, reason)
            continue
        _, at = attempts.failed.get(name, (0, 0.0))
        if name not in attempts.going and desk.clock.monotonic() >= at:
            attempts.going.add(name)
            tasks.start_soon(_rotate, desk, attempts, own, why)


async def _rotate(desk: SecretState, attempts: _Attempts, own: OwnSecret, why: str) -> None:
    name = own.name
    try:
        store = desk.opens()
        if store is None:
            return
        await rotate_account(store, own, desk.entropy)
        attempts.failed.pop(name, None)
        await look(desk)
        _log.warning("the secret %s was replaced, here and at its target: %s", name, why)
    except AnswerableError as failed:
        _failed(desk, attempts, name, failed.message)
    except Exception as broken:
        # A target that breaks its contract counts as failed: the other secrets are rotated anyway. Its words may quote
        # one of the two secrets.
        _failed(desk, attempts, name, place_of(broken))
    finally:
        attempts.going.discard(name)
        desk.stirred.set()


def _failed(desk: SecretState, attempts: _Attempts, name: str, why: str) -> None:
    count = attempts.failed.get(name, (0, 0.0))[0] + 1
    pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2 ** min(count - 1, _DOUBLINGS_MAX))
    attempts.failed[name] = (count, desk.clock.monotonic() + pause)
    _log.error("the secret %s could not be replaced at its target, again in %g s: %s", name, pause, why)


def _pause(desk: SecretState, attempts: _Attempts) -> float:
    """Return the seconds until the next retry, or until the next check of due dates."""
    now = desk.clock.monotonic()
    waits = [at - now for name, (_, at) in attempts.failed.items() if name not in attempts.going]
    return max(0.05, min([EVERY_SECONDS, *waits]))
