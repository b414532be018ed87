"""Read the local witness's files for display, and the policy for verifiers, whether or not anything runs; have it watch
a log, or begin anew with one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.adapters.tlog_files import PublishedFiles
from answerable.adapters.witness_files import FilesWitnessRegister, published_keys
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.note import LOG_KINDS, Note, VerifierKey
from answerable.core.tlog.policy import Group, Log, Policy, Witness
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Broken, Malformed, Unavailable, Unverified, shown
from answerable.errors.codes.ledger import LEDGER_UNREADABLE
from answerable.errors.codes.tlog import NOTE_KEY_TYPE
from answerable.flows.ledger.cosign_checkpoint import cosign_checkpoint
from answerable.flows.ledger.gather_cosignatures import rolled_back
from answerable.plain_file import read_plain
from answerable.wiring.local_witness import opened_desk, watch_log
from answerable.wiring.shards import published_shards
from answerable.wiring.witness_settings import LOCAL, remote_witness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.flows.ledger.cosign_checkpoint import CosigningState
    from answerable.ports.witness_register import Evidence, EvidenceKind
    from answerable.wiring.setting_tree import Settings

QUORUM: Final = "witnesses"
LOG_KEYS_BYTES_MAX: Final = 65_536

_SAYS: Final[dict[EvidenceKind, str]] = {
    "fork": "the log signed another checkpoint of size {size}: it shows people different histories",
    "older": "the log signed a checkpoint of size {size}, {known} was cosigned: it went back, or somebody repeated it",
    "unproven": "the log signed a checkpoint of size {size} without proof that it continues {known}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvidence:
    """One piece of evidence. at: RFC 3339."""

    kind: str
    at: str
    size: int
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLog:
    """One log as its witness knows it. cosigned_at: RFC 3339, None before the first. damage: empty if there is none."""

    origin: str
    keys: tuple[str, ...]
    size: int
    root: str
    cosigned_at: str | None
    damage: str
    evidence: tuple[SeenEvidence, ...]
    evidence_directory: str


def witness_keys(settings: Settings) -> tuple[str, ...]:
    """Return the verifier keys of the local witness; empty before its first start."""
    try:
        return tuple(key.formatted() for key in published_keys(settings.local_witness.directory))
    except Unavailable:
        return ()


def watched_logs(settings: Settings) -> tuple[WatchedLog, ...]:
    """Return every log that the local witness watches. Raises Unavailable, and Broken when keys of a log are
    damaged."""
    register = FilesWitnessRegister.reading(settings.local_witness.directory)
    try:
        keys: tuple[VerifierKey, ...] = published_keys(settings.local_witness.directory)
    except Unavailable:
        keys = ()
    return tuple(_watched(register, origin, keys) for origin in register.origins())


def _watched(register: FilesWitnessRegister, origin: str, keys: Sequence[VerifierKey]) -> WatchedLog:
    damage, size, root, at = "", 0, "", None
    log_keys: tuple[str, ...] = ()
    try:
        log = register.log(origin)
        if log is not None:
            log_keys = tuple(key.formatted() for key in log.keys)
        if log is not None and log.newest is not None:
            note = Note.parse(log.newest)
            checkpoint = Checkpoint.parse(note.text)
            own = verified_cosignatures(note, cosigners=keys)
            size, root = checkpoint.size, checkpoint.root.hex()
            at = _instant(max(one.timestamp for one in own) * 1000) if own else None
            damage = "" if own else "the checkpoint is not cosigned by this witness"
    except (Broken, Malformed, Unverified) as fault:
        damage = fault.message
    return WatchedLog(
        origin=origin,
        keys=log_keys,
        size=size,
        root=root,
        cosigned_at=at,
        damage=damage,
        evidence=tuple(_seen(one) for one in register.evidence(origin)),
        evidence_directory=str(register.evidence_place(origin)),
    )


def _seen(evidence: Evidence) -> SeenEvidence:
    try:
        known = str(Checkpoint.parse(Note.parse(evidence.known).text).size)
    except Malformed:
        known = "an unreadable checkpoint"
    says = _SAYS[evidence.kind].format(size=evidence.size, known=known)
    return SeenEvidence(kind=evidence.kind, at=_instant(evidence.at), size=evidence.size, says=says)


def add_watched_log(settings: Settings, vkey: str, *, another: bool = False) -> bool:
    """Have the local witness watch a log; False if it already does. Raises Malformed, and as `watch_log`."""
    key = VerifierKey.parse(vkey.strip())
    if key.kind not in LOG_KINDS:
        raise NOTE_KEY_TYPE(f"the key of {shown(key.name)} is of type {key.kind}, which cannot sign a log")
    return watch_log(FilesWitnessRegister.reading(settings.local_witness.directory), key, another=another)


def accept_ledger(settings: Settings) -> tuple[Checkpoint, ...]:
    """Have the local witness cosign and remember this ledger as it is on disk, where it remembers less than it had
    cosigned. Return the checkpoints.

    What it does remember still counts. Raises Broken (`ledger.rolled_back`) for a ledger with fewer entries than that,
    Unverified, steps `consistency.*`, for one with another history, Unavailable (`ledger.unreadable`) where there is no
    ledger, and as `opened_desk`, which no other process may hold.
    """
    chosen = settings.ledger
    logs = [PublishedFiles(chosen.heads if chosen.shard else chosen.directory)]
    if chosen.shard and settings.witnesses.shards:
        logs += published_shards(settings)
    with opened_desk(settings) as desk:
        accepted = [one for log in logs if (one := _accepted(desk, log)) is not None]
    if not accepted:
        raise LEDGER_UNREADABLE(f"there is no checkpoint in {shown(str(chosen.directory))}", port="ledger")
    return tuple(accepted)


def _accepted(desk: CosigningState, log: PublishedFiles) -> Checkpoint | None:
    key, note = log.key(), log.checkpoint()
    if key is None or note is None:
        return None
    watch_log(desk.register, key)
    newest = verified_checkpoint(note, origin=key.name, log_keys=(key,))
    known = desk.register.log(key.name)
    size = 0
    if known is not None and known.newest is not None:
        size = Checkpoint.parse(Note.parse(known.newest).text).size
    if size > newest.size:
        raise rolled_back(LOCAL, own=newest.size, theirs=size)
    proof = log.consistency_proof(size, newest) if 0 < size < newest.size else ()
    cosign_checkpoint(desk, AddCheckpoint(old_size=size, proof=proof, checkpoint=note).encoded())
    return newest


def policy_text(settings: Settings) -> str:
    """Return the policy: the log of the settings, or the log of logs, its witnesses and their quorum.

    Addresses are left out: verifiers contact nobody. Raises Unavailable (`witness.key_unknown`), Malformed.
    """
    witnesses = []
    if settings.witnesses.local:
        # A witness counts once: of its keys, the preferred one represents it.
        witnesses.append(Witness(name=LOCAL, key=published_keys(settings.local_witness.directory)[0]))
    for entry in settings.witnesses.remote:
        key = remote_witness(entry).key
        witnesses.append(Witness(name=key.name, key=key))
    logs = tuple(Log(key=key) for key in _log_keys(settings))
    names = tuple(one.name for one in witnesses)
    if len(names) == 1:
        return Policy(logs=logs, witnesses=tuple(witnesses), quorum=names[0]).text().decode()
    if not names:
        return Policy(logs=logs, quorum="none").text().decode()
    group = Group(name=QUORUM, threshold=settings.witnesses.quorum, members=names)
    return Policy(logs=logs, witnesses=tuple(witnesses), groups=(group,), quorum=QUORUM).text().decode()


def _log_keys(settings: Settings) -> tuple[VerifierKey, ...]:
    path = (settings.ledger.heads if settings.ledger.shard else settings.ledger.directory) / "log.pub"
    try:
        content = read_plain(path, LOG_KEYS_BYTES_MAX)
    except OSError as error:
        raise LEDGER_UNREADABLE(
            f"there is no key of the log in {shown(path)}: {(error.strerror or 'unknown fault').lower()}; start "
            "`answerable up` once",
            port="ledger",
        ) from None
    return tuple(VerifierKey.parse(line) for line in content.decode("utf-8", "replace").splitlines())


def _instant(milliseconds: int) -> str:
    when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
