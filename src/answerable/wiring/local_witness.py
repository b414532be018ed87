"""The witness of this machine: its desk, its door, and the process in which `answerable up` keeps it running."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.adapters.local_keys import open_or_create_key, open_or_create_secret
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.uvicorn_front import FrontLimits, Listeners, listen, run, serve
from answerable.adapters.witness_files import FilesWitnessRegister, publish_keys
from answerable.core.identity.keys import ed25519_public
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Refused, shown
from answerable.flows.cosign_checkpoint import Cosigner, WitnessDesk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from anyio.abc import Process

    from answerable.ports.witness_register import WitnessRegister
    from answerable.wiring.setting_tree import Settings

__all__ = ["WitnessProcess", "opened_desk", "run", "serve_witness", "watch_log"]

LOOPBACK: Final = "127.0.0.1"
SEED_BYTES: Final = 32
ANSWERING_SECONDS: Final = 0.02
"""How often a starting witness is looked for."""
RESTART_SECONDS: Final = 0.1
RESTART_SECONDS_MAX: Final = 15.0
STEADY_SECONDS: Final = 30.0
"""A witness that held this long is started again at the first delay."""
END_SECONDS_MAX: Final = 5.0
"""What a witness gets to end by itself, and then once more after SIGTERM."""

_log: Final = logging.getLogger(__name__)


@contextmanager
def opened_desk(settings: Settings) -> Iterator[WitnessDesk]:
    """The desk over the witness's own directory, with its own keys, made on the first start.

    Raises Unavailable: `witness.locked`, `witness.unwritable`, `key.*`.
    """
    place = settings.local_witness.directory
    register = FilesWitnessRegister.open(place)
    try:
        cosigners = _cosigners(settings)
        publish_keys(place, [one.key for one in cosigners])
        yield WitnessDesk(register=register, clock=SystemClock(), cosigners=cosigners)
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
    """Have a witness watch the log of this key; False when it does already.

    another: a log that is watched under other keys may get this one, too. Raises Refused (`witness.other_key`).
    """
    known = register.log(key.name)
    if known is not None and key not in known.keys and not another:
        raise Refused(
            f"log {shown(key.name)} is watched under another key: who put this one there? If it was you, add it with "
            "`answerable witness add-log`",
            code="witness.other_key",
        )
    return register.add(key)


async def serve_witness(
    settings: Settings,
    door: Callable[[WitnessDesk], Any],
    *,
    logs: Sequence[VerifierKey],
    until_eof: bool,
    started: Callable[[Listeners, WitnessDesk], None],
) -> None:
    """Serve until SIGINT or SIGTERM, or the end of standard input, then stop gracefully.

    logs: to watch, unless their names are watched under other keys. Raises as `opened_desk`, and `front.*`.
    """
    with opened_desk(settings) as desk:
        for key in logs:
            try:
                watch_log(desk.register, key)
            except Refused as other:
                _log.error("%s", other.message)
        port = settings.local_witness.port
        listeners = listen(uds=settings.local_witness.socket, tcp=(LOOPBACK, port) if port else None)
        stop = anyio.Event()
        async with anyio.create_task_group() as beside:
            beside.start_soon(_stop_on_signal, stop)
            if until_eof:
                beside.start_soon(_stop_at_eof, stop)
            await serve(
                door(desk),
                listeners=listeners,
                limits=FrontLimits(**asdict(settings.front)),
                started=lambda bound: started(bound, desk),
                stop=stop,
            )
            beside.cancel_scope.cancel()


async def _stop_on_signal(stop: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            stop.set()
            return


async def _stop_at_eof(stop: anyio.Event) -> None:
    """Whoever started us holds the other end of the pipe, and drops it however it ends."""
    while True:
        await anyio.wait_readable(0)
        if not os.read(0, 4096):
            stop.set()
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessProcess:
    """The local witness as a process of its own. command: starts it. socket: on which it answers."""

    command: tuple[str, ...]
    socket: Path

    async def run(self) -> None:
        """Keep it running until cancelled, then end it. A witness that fails is started again, later each time."""
        delay = RESTART_SECONDS
        while True:
            began = anyio.current_time()
            try:
                process = await anyio.open_process(
                    self.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=None,
                    # Ctrl-C at a terminal is for us: the witness still has our last checkpoint to cosign.
                    start_new_session=True,
                )
            except OSError as error:
                _log.error("the witness cannot be started: %s", error.strerror)
            else:
                try:
                    code = await process.wait()
                finally:
                    with anyio.CancelScope(shield=True):
                        await _ended(process)
                _log.warning("the witness ended with code %d and is started again", code)
            delay = RESTART_SECONDS if anyio.current_time() - began > STEADY_SECONDS else delay
            await anyio.sleep(delay)
            delay = min(2 * delay, RESTART_SECONDS_MAX)

    async def answering(self) -> None:
        """Wait until somebody listens on its socket."""
        while True:
            if _is_listening(self.socket):
                return
            await anyio.sleep(ANSWERING_SECONDS)


async def _ended(process: Process) -> None:
    if process.stdin is not None:
        await process.stdin.aclose()
    for last_word in (process.terminate, process.kill):
        with anyio.move_on_after(END_SECONDS_MAX):
            await process.wait()
            break
        last_word()
    await process.wait()


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(os.fspath(path)) == 0
