"""The gateway's side of leases: the key that signs warrants, the connection to the broker, and the broker's process."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.adapters.broker_http import HttpLeaseBroker
from answerable.adapters.local_keys import open_or_create_key
from answerable.core.lease.own_account import DeclaredTarget
from answerable.core.ledger.warrant_token import SignedWarrant
from answerable.errors import Unavailable
from answerable.errors.codes.identity import KEY_UNREADABLE, KEY_UNWRITABLE
from answerable.errors.codes.leases import WARRANT_UNBROKERED
from answerable.flows.recording.rounds import until_round
from answerable.flows.state.lease_side import LeaseLives, LeaseSide
from answerable.plain_file import read_plain
from answerable.wiring.kept_process import KeptProcess
from answerable.wiring.shards import other_shards
from answerable.wiring.target_files import has_targets, place_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.ledger.warrant import Warrant
    from answerable.ports.entropy import Entropy
    from answerable.wiring.setting_tree import Settings

_log: Final = logging.getLogger(__name__)

KEYS_MODE: Final = 0o644
KEYS_MAX: Final = 16
LOOK_SECONDS: Final = 1.0
DECLARED_SECONDS_MAX: Final = 2.0
"""How long a question about accounts waits for the broker."""


def lease_side(settings: Settings) -> LeaseSide:
    """Build the lease settings of this deployment and the client of its broker. Nothing is connected."""
    broker = settings.broker
    return LeaseSide(
        broker=broker.name,
        asks=HttpLeaseBroker(broker.socket),
        others=partial(other_shards, settings),
        lives=LeaseLives(
            action_ms=broker.action_seconds * 1000,
            task_ms=broker.task_seconds * 1000,
            tier_ms_max=(
                broker.tier_0_seconds_max * 1000,
                broker.tier_1_seconds_max * 1000,
                broker.tier_2_seconds_max * 1000,
                broker.tier_3_seconds_max * 1000,
            ),
        ),
    )


def warrant_signer(settings: Settings, origin: str, entropy: Entropy) -> Callable[[Warrant], str]:
    """Return the signer of warrants of the log `origin`. The public key is written where the broker reads it.

    Raises Unavailable (`key.*`).
    """
    key = open_or_create_key(settings.data / "keys" / "warrants.jwk", entropy=entropy)
    _publish(settings.broker.warrant_keys, key)
    return partial(_signed, key, origin)


def _signed(key: SigningKey, origin: str, warrant: Warrant) -> str:
    brokered = warrant.brokered
    if brokered is None:
        raise WARRANT_UNBROKERED()
    return SignedWarrant(
        log=origin,
        broker=brokered.broker,
        intent=warrant.intent.index,
        leaf=warrant.intent.leaf_hash.hex(),
        action_id=warrant.action_id,
        digest=warrant.digest,
        deadline=warrant.deadline,
        server=warrant.server,
        mandate=brokered.mandate,
        agent=brokered.agent,
        capability=brokered.capability,
        tier=brokered.tier,
        lease=brokered.terms,
        under=brokered.under,
    ).signed(key)


def _publish(path: Path, key: SigningKey) -> None:
    """Add the public key to those in this file, atomically; under a lock, so that no gateway overwrites another's key.
    Raises Unavailable (`key.*`)."""
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _publish_alone(path, key)
    finally:
        os.close(lock)


def _publish_alone(path: Path, key: SigningKey) -> None:
    own = json.loads(key.public.jwk)
    try:
        known = json.loads(read_plain(path))["keys"]
        if own in known:
            return
    except FileNotFoundError:
        known = []
    except (OSError, ValueError, KeyError, TypeError):
        raise KEY_UNREADABLE(
            f"`{path.name}` is not a key file: move it away, and a new one is made"
        ) from None
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, KEYS_MODE)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(json.dumps({"keys": [own, *known[: KEYS_MAX - 1]]}).encode())
            opened.flush()
            os.fsync(descriptor)
        os.replace(draft, path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return KEY_UNWRITABLE(f"`{path.name}` cannot be written: {(error.strerror or 'unknown fault').lower()}")


async def declared_targets(leases: LeaseSide | None) -> tuple[DeclaredTarget, ...] | None:
    """Return what the broker declares of its targets and its own accounts there; None where it gives no answer in
    time, though something registered needs it."""
    if leases is None:
        return ()
    with anyio.move_on_after(DECLARED_SECONDS_MAX), suppress(Unavailable):
        return tuple(
            DeclaredTarget(one.name, one.traits.boundary, one.own) for one in await leases.asks.targets()
        )
    return None if leases.is_used else ()


def broker_user(settings: Settings) -> str:
    """Return the account that a broker started here runs under; empty for this process's own."""
    return settings.broker.user if os.getuid() == 0 else ""


async def kept_broker(settings: Settings, command: tuple[str, ...]) -> None:
    """Keep the broker running beside this server once there is a target. command: starts it."""
    broker = settings.broker
    if not command or not broker.enabled:
        return
    if fault := await to_thread.run_sync(place_fault, broker.targets):
        _log.warning("no broker is started: %s", fault)
    while not await to_thread.run_sync(has_targets, broker.targets):  # noqa: ASYNC110 - a file has no event
        await anyio.sleep(until_round(LOOK_SECONDS))
    process = KeptProcess(name="broker", command=command, socket=broker.socket, user=broker_user(settings))
    await process.run()
