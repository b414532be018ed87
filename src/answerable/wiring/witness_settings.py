"""Settings of witnessing: who cosigns this server's log, and the witness that runs on this machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from answerable.errors import Malformed, shown
from answerable.errors.codes.services import SETTINGS_WITNESS
from answerable.errors.codes.tlog import NOTE_KEY_TYPE
from answerable.setting_fields import about, flag, number, seconds, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.tlog.note import VerifierKey

LOCAL: Final = "local"
"""Name of the local witness in lists of witnesses."""
REMOTE_MAX: Final = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessesSettings:
    """Who cosigns the checkpoints of this server's log, and what happens when they do not."""

    local: bool = flag(
        True,
        "start a witness in a process of its own, with the settings of `[local_witness]`, and request its cosignatures",
    )
    remote: tuple[str, ...] = texts(
        (),
        "further witnesses, each `VKEY ADDRESS`: https://PREFIX, http:// on loopback, or unix:/PATH; before the "
        "first `+` of VKEY is its name",
    )
    quorum: int = number(
        1,
        "number of witnesses whose cosignatures verifiers require on a checkpoint",
        unit="witnesses",
        minimum=1,
        maximum=32,
    )
    shards: bool = flag(
        False, "with shards, ask them to cosign the checkpoints of this shard, too, not only the log of logs"
    )
    round_seconds: float = seconds(
        10.0, "time between two rounds of asking when there is a new checkpoint", minimum=0.1, maximum=3_600
    )
    answer_seconds_max: float = seconds(5.0, "longest time one request may take", minimum=0.1, maximum=60)
    start_seconds_max: float = seconds(
        3.0,
        "how long a starting server waits for the first round; a witness without an answer is then in alarm, the "
        "local one a minute later",
        minimum=0.1,
        maximum=60,
    )
    skew_seconds_max: int = number(
        300,
        "largest difference between the time of a cosignature and our clock, either way",
        unit="seconds",
        minimum=1,
        maximum=86_400,
    )
    stop_after_seconds: float = seconds(
        0.0,
        "time without a quorum after which new actions are refused; 0 never refuses them",
        minimum=0,
        maximum=2_592_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWitnessSettings:
    """The witness that runs on this machine: by `answerable up`, or by `answerable witness serve` alone."""

    directory: Path = field(
        default=Path("witness"),
        metadata=about("directory of its key and its state; best on another disk", unit="path"),
    )
    name: str = text("", "name in its cosignatures; empty takes one made from its key")
    socket: Path = field(
        default=Path("witness.sock"), metadata=about("Unix socket that it answers on", unit="path")
    )
    port: int = number(
        0,
        "TCP port on loopback that it answers on, too; 0 opens none",
        unit="port",
        minimum=0,
        maximum=65_535,
    )
    ml_dsa_44: bool = flag(False, "cosign with a key of ML-DSA-44, too")
    body_seconds_max: float = seconds(15.0, "longest time to receive a request", minimum=0.1, maximum=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWitness:
    """A remote witness. address: as adapters.witness_http takes it."""

    key: VerifierKey
    address: str


def remote_witness(text: str) -> RemoteWitness:
    """Parse one `VKEY ADDRESS`. Raises Malformed."""
    # Imported only if needed: most settings name no remote witness, and the import would take most of a command's time.
    from answerable.core.tlog.note import ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE, VerifierKey

    vkey, _, address = text.strip().partition(" ")
    key = VerifierKey.parse(vkey)
    if key.kind not in (ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE):
        raise NOTE_KEY_TYPE(f"the key of {shown(key.name)} is of type {key.kind}, which cannot cosign")
    address = address.strip()
    if address.startswith("unix:/"):
        return RemoteWitness(key=key, address=address)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    is_private = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    if not host or not is_private or parts.query or parts.fragment or "@" in parts.netloc or port == 0:
        # The faulty part may be a password, so it is not shown.
        raise SETTINGS_WITNESS()
    return RemoteWitness(key=key, address=address)


def witness_faults(settings: WitnessesSettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key of the list of witnesses with the fault, beyond the form of each field."""
    names = [LOCAL] if settings.local else []
    for entry in settings.remote:
        try:
            names.append(remote_witness(entry).key.name)
        except Malformed as fault:
            yield "witnesses.remote", fault.message
            return
    if len(settings.remote) > REMOTE_MAX:
        yield "witnesses.remote", f"at most {REMOTE_MAX} witnesses, got {len(settings.remote)}"
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        yield "witnesses.remote", f"two witnesses are called {shown(min(twice))}"
    if names and settings.quorum > len(names):
        yield (
            "witnesses.quorum",
            f"expected at most the number of witnesses, {len(names)}, got {settings.quorum}",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
