"""Run the local witness: its state in its own directory, its listener, and the process in which `answerable up` keeps
it."""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.adapters.local_keys import open_or_create_key, open_or_create_secret
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.uvicorn_front import FrontLimits, Listeners, listen, run, serve, set_collector_apart
from answerable.adapters.witness_files import FilesWitnessRegister, publish_keys
from answerable.core.identity.keys.keys import ed25519_public
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Refused, shown
from answerable.errors.codes.tlog import WITNESS_OTHER_KEY
from answerable.flows.ledger.cosign_checkpoint import Cosigner, CosigningState
from answerable.wiring.kept_process import stop_at_eof, stop_on_signal
from answerable.wiring.own_files import require_own, witness_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from answerable.ports.witness_register import WitnessRegister
    from answerable.wiring.setting_tree import Settings

__all__ = ["opened_desk", "run", "serve_witness", "set_collector_apart", "watch_log"]

LOOPBACK: Final = "127.0.0.1"
SEED_BYTES: Final = 32

_log: Final = logging.getLogger(__name__)


@contextmanager
def opened_desk(settings: Settings) -> Iterator[CosigningState]:
    """Open the witness's state in its own directory, with its own keys, created at the first start.

    Raises Unavailable: `witness.locked`, `witness.unwritable`, `key.*`, `files.not_own`.
    """
    place = settings.local_witness.directory
    require_own(witness_faults(settings))
    register = FilesWitnessRegister.open(place)
    try:
        cosigners = _cosigners(settings)
        publish_keys(place, [one.key for one in cosigners])
        yield CosigningState(register=register, clock=SystemClock(), cosigners=cosigners)
    finally:
        register.close()


def _cosigners(settings: Settings) -> tuple[Cosigner, ...]:
    place, entropy = settings.local_witness.directory, SystemEntropy()
    key = open_or_create_key(place / "key.jwk", entropy=entropy)
    public = ed25519_public(key.public)
    name = settings.local_witness.name or f"answerable-witness-{hashlib.sha256(public).hexdigest()[:16]}"
    cosigners = [Cosigner(key=VerifierKey.ed25519_cosignature(name, public), sign=key.sign)]
    if settings.local_witness.ml_dsa_44:
        seed = open_or_create_secret(place / "ml-dsa-44.key", count=SEED_BYTES, entropy=entropy)
        lattice = MLDSA44PrivateKey.from_seed_bytes(seed)
        public = lattice.public_key().public_bytes_raw()
        cosigners.append(Cosigner(key=VerifierKey.ml_dsa_44(name, public), sign=partial(lattice.sign)))
    return tuple(cosigners)


def watch_log(register: WitnessRegister, key: VerifierKey, *, another: bool = False) -> bool:
    """Have a witness watch the log of this key; False if it already does.

    another: whether a log that is watched under other keys may get this one, too. Raises Refused (`witness.other_key`).
    """
    known = register.log(key.name)
    if known is not None and key not in known.keys and not another:
        raise WITNESS_OTHER_KEY(
            f"log {shown(key.name)} is watched under another key: if you replaced the key, add the new one with "
            "`answerable witness add-log`"
        )
    return register.add(key)


async def serve_witness(
    settings: Settings,
    door: Callable[[CosigningState], Any],
    *,
    logs: Sequence[VerifierKey],
    until_eof: bool,
    started: Callable[[Listeners, CosigningState], None],
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, or the end of standard input, then stop gracefully.

    logs: to watch, unless their names are watched under other keys. Raises as `opened_desk`, and `front.*`.
    """
    with opened_desk(settings) as desk:
        for key in logs:
            try:
                watch_log(desk.register, key)
            except Refused as other:
                _log.error("%s", other.message)
        port = settings.local_witness.port
        listeners = listen(
            uds=settings.local_witness.socket,
            tcp=(LOOPBACK, port) if port else None,
            setting="local_witness.port",
        )
        stop = anyio.Event()
        stop_on_signal(stop)
        async with anyio.create_task_group() as beside:
            if until_eof:
                beside.start_soon(stop_at_eof, stop)
            await serve(
                door(desk),
                listeners=listeners,
                limits=FrontLimits(**asdict(settings.front)),
                started=lambda bound: started(bound, desk),
                stop=stop,
            )
            beside.cancel_scope.cancel()
