"""Read the signatures of a ledger directory: keys, checkpoints and cosignatures, and the notes that the caller stored.

Laws:
- every checkpoint is signed by the log's first key, and by each further key from the first checkpoint it signed on;
- a witness counts only under a policy that names it, and a checkpoint is witnessed only if the policy's quorum is met.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.batch_head import verified_batch_head
from answerable.core.ledger.codec import SECTOR_BYTES, notes_in
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.note import ED25519, ML_DSA_44_COSIGNATURE, Note, VerifierKey
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.tlog import CHECKPOINT_ORIGIN_MISMATCH, NOTE_KEY, NOTE_UNSIGNED
from answerable.plain_file import read_plain
from answerable.verify.report import Finding
from answerable.verify.small_files import content_of_small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from answerable.core.tlog.policy import Policy

KEPT: Final = "kept"
KEYS_MAX: Final = 8
KEPT_BYTES_MAX: Final = 64 * 1_048_576
HISTORY_BYTES_MAX: Final = 2**31
_BATCH_HEAD: Final = b"answerable batch head "
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_SECOND_MS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A checkpoint with a valid signature, and its position in a file."""

    checkpoint: Checkpoint
    file: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A checkpoint with the quorum that the policy requires.

    earliest: when the first cosigner signed it; by: when enough had signed for the quorum; both Unix milliseconds, and
    0 if the cosigners stated no time. cosigners: key names.
    """

    checkpoint: Checkpoint
    earliest: int
    by: int
    cosigners: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHead:
    """A batch head that the caller stored: the chain value at a size."""

    size: int
    chain: bytes
    at: int
    start: int
    stop: int


@dataclass(slots=True, kw_only=True)
class Signatures:
    """The signatures of a log.

    history: checkpoints by size, of all files. count: those in `checkpoints.log`. published: largest size in the log's
    own files. kept_size: largest size that the caller stored, -1 without. heads: by size. witnessed: by size. keys:
    whose signatures are checked; due: of these, the keys that must have signed the newest checkpoint. torn: whether a
    history ends in an incomplete checkpoint. lacks_history: whether a newest checkpoint exists without its history.
    """

    origin: str = ""
    key: VerifierKey | None = None
    keys: tuple[VerifierKey, ...] = ()
    due: frozenset[VerifierKey] = frozenset()
    key_given: bool = False
    policy: Policy | None = None
    history: list[Signed] = field(default_factory=list)
    count: int = 0
    published: int = 0
    kept_size: int = -1
    heads: list[KeptHead] = field(default_factory=list)
    witnessed: list[Witnessed] = field(default_factory=list)
    torn: bool = False
    lacks_history: bool = False


def read_signatures(
    directory: Path,
    key: VerifierKey | None,
    policy: Policy | None,
    kept: bytes | None,
    found: Callable[[Finding], None],
) -> Signatures:
    """Read and verify the signatures. `found` gets each fault. kept: notes, with empty lines between."""
    read = Signatures(policy=policy)
    _Keys(directory, found).read(read, key)
    if read.key is None:
        return read
    notes = _Notes(directory, read, found)
    notes.history("checkpoints.log", "checkpoint")
    read.count = len(read.history)
    notes.history("cosigned.log", "cosigned")
    read.published = max((one.checkpoint.size for one in read.history), default=0)
    read.lacks_history |= bool(read.history) and not read.count
    if kept is not None:
        notes.kept(kept)
    read.history.sort(key=lambda one: one.checkpoint.size)
    read.heads.sort(key=lambda one: one.size)
    read.witnessed.sort(key=lambda one: one.checkpoint.size)
    return read


class _Keys:
    def __init__(self, directory: Path, found: Callable[[Finding], None]) -> None:
        self._path = directory / "log.pub"
        self._found = found

    def read(self, read: Signatures, given: VerifierKey | None) -> None:
        """Determine the log's keys. A key or policy from the caller decides; keys beside the log must only agree."""
        named = [] if read.policy is None else [one.key for one in read.policy.logs]
        beside = self._beside(is_needed=given is None and not named)
        if given is not None:
            keys = [given]
            if named and given not in named:
                self._wrong("key.policy", "the policy does not name the key given")
        elif named:
            name = beside[0].name if beside else named[0].name
            keys = [one for one in named if one.name == name]
            if not keys:
                self._wrong("key.policy", f"the policy names no key of the log {shown(name)}")
        else:
            keys = []
        if keys and beside and not set(keys) & set(beside):
            self._wrong("key.other", "the verifier key beside the log is not the one given")
        read.key_given = bool(keys)
        keys = keys or beside
        if not keys:
            return
        known = [one for one in beside if one in keys] or keys
        read.key = next((one for one in known if one.kind == ED25519), known[0])
        read.origin = read.key.name
        others = [one for one in (*keys, *beside) if one.name == read.origin and one != read.key]
        read.keys = (read.key, *dict.fromkeys(others))
        read.due = frozenset({read.key, *(one for one in keys if one.kind == ML_DSA_44_COSIGNATURE)})

    def _beside(self, *, is_needed: bool) -> list[VerifierKey]:
        try:
            text = content_of_small(self._path).decode()
            lines = text.split("\n")
            if lines.pop() or not 1 <= len(lines) <= KEYS_MAX:
                raise NOTE_KEY("expected a few complete lines")
            keys = [VerifierKey.parse(line) for line in lines]
            if keys[0].kind != ED25519 or len({one.name for one in keys}) != 1:
                raise NOTE_KEY("the keys belong to several logs, expected one")
        except FileNotFoundError:
            if is_needed:
                self._wrong("key.file", "the log's verifier key is missing, and none was given")
        except (Malformed, ValueError):
            self._wrong("key.file", "the log's verifier key cannot be read")
        else:
            return keys
        return []

    def _wrong(self, rule: str, message: str) -> None:
        self._found(Finding(rule=rule, severity="error", message=message, file=self._path.name))


class _Notes:
    """Reads the notes of one directory into `read`."""

    def __init__(self, directory: Path, read: Signatures, found: Callable[[Finding], None]) -> None:
        self._directory, self._read, self._found = directory, read, found
        # Signers of the checkpoint before, and of all earlier checkpoints in the same file.
        self._last: set[VerifierKey] = set()
        self._signers: set[VerifierKey] = set()

    def history(self, name: str, newest: str) -> None:
        """Read all checkpoints of one kind, and the file with the newest of them."""
        # Read the newest first: a writer writes the history first, so a log that grows meanwhile causes no false fault.
        alone = self._alone(newest)
        path = self._directory / name
        if path.exists() and not (path.is_file() and path.stat().st_size <= HISTORY_BYTES_MAX):
            self._wrong("checkpoint.damaged", f"not a file of at most {HISTORY_BYTES_MAX} bytes", name)
            return
        content = read_plain(path) if path.exists() else b""
        notes, used = notes_in(content)
        start = 0
        own: list[Signed] = []
        self._signers = set()
        for note in notes:
            stop = start + len(note)
            signed = self._signed(note, name, start, cosigned=name == "cosigned.log")
            if signed is None:
                return
            if own and signed.checkpoint.size < own[-1].checkpoint.size:
                message = f"a checkpoint of size {signed.checkpoint.size} follows one that is larger"
                self._wrong("checkpoint.order", message, name, start, stop)
            own.append(signed)
            start = stop + 1
        if own and not self._read.due <= self._last:
            self._lacking(self._read.due - self._last, name, own[-1].start, own[-1].stop)
        self._read.history += own
        self._rest(content, used, name)
        self._newest(newest, alone, own, notes if path.exists() else None)

    def kept(self, content: bytes) -> None:
        """Read the notes that the caller stored, both checkpoints and batch heads."""
        if len(content) > KEPT_BYTES_MAX:
            self._wrong("kept.size", f"what was kept has more than {KEPT_BYTES_MAX} bytes", KEPT)
            return
        notes, used = notes_in(content.rstrip(b"\n") + b"\n\n")
        if used < len(content.rstrip(b"\n")) or not notes:
            self._wrong("kept.form", "what was kept is not made of signed notes", KEPT, used, len(content))
        start = 0
        for note in notes:
            self._signers = set()
            if note.startswith(_BATCH_HEAD):
                self._batch_head(note, start)
            else:
                signed = self._signed(note, KEPT, start, cosigned=False)
                if signed is not None:
                    self._read.kept_size = max(self._read.kept_size, signed.checkpoint.size)
                    self._read.history.append(signed)
            start += len(note) + 1

    def _batch_head(self, note: bytes, start: int) -> None:
        key = self._read.key
        stop = start + len(note)
        try:
            if key is None or key.kind != ED25519:
                raise NOTE_KEY("batch heads need the log's ed25519 key")
            head = verified_batch_head(note, key=key)
        except (Malformed, Unverified) as error:
            self._wrong("batch_head.signature", f"batch head: {error.message}", KEPT, start, stop)
            return
        self._read.kept_size = max(self._read.kept_size, head.size)
        self._read.heads.append(
            KeptHead(size=head.size, chain=head.chain, at=head.at, start=start, stop=stop)
        )

    def _signed(self, encoded: bytes, file: str, start: int, *, cosigned: bool) -> Signed | None:
        read, stop = self._read, start + len(encoded)
        try:
            note = Note.parse(encoded)
            signers = set(note.verify(read.keys))
            if read.key not in signers:
                raise NOTE_UNSIGNED("the note is not signed by the log's key")
            checkpoint = Checkpoint.parse(note.text)
            if checkpoint.origin != read.origin:
                raise CHECKPOINT_ORIGIN_MISMATCH(
                    f"the checkpoint belongs to log {shown(checkpoint.origin)}, expected {shown(read.origin)}"
                )
        except (Malformed, Unverified) as error:
            self._wrong("checkpoint.signature", f"checkpoint: {error.message}", file, start, stop)
            return None
        if not self._signers <= signers:
            self._lacking(self._signers - signers, file, start, stop)
        self._last = signers
        self._signers |= signers
        if cosigned and read.policy is not None:
            try:
                self._cosigned(note, checkpoint, read.policy)
            except (Malformed, Unverified) as error:
                self._wrong("cosignature", f"cosignature: {error.message}", file, start, stop)
        return Signed(checkpoint=checkpoint, file=file, start=start, stop=stop)

    def _cosigned(self, note: Note, checkpoint: Checkpoint, policy: Policy) -> None:
        """Record the cosigners if they meet the quorum. Raises Unverified for a bad cosignature by a known witness."""
        witnesses = [one.key for one in policy.witnesses]
        given = sorted(verified_cosignatures(note, cosigners=witnesses), key=lambda one: one.timestamp)
        if not given or not policy.is_met_by([one.cosigner for one in given]):
            return
        timed = [one for one in given if one.timestamp]
        by = next(
            (
                last.timestamp
                for count, last in enumerate(timed, 1)
                if policy.is_met_by([one.cosigner for one in timed[:count]])
            ),
            0,
        )
        self._read.witnessed.append(
            Witnessed(
                checkpoint=checkpoint,
                earliest=timed[0].timestamp * _SECOND_MS if by else 0,
                by=by * _SECOND_MS,
                cosigners=tuple(sorted(one.cosigner.name for one in given)),
            )
        )

    def _lacking(self, keys: Iterable[VerifierKey], file: str, start: int, stop: int) -> None:
        ids = ", ".join(sorted(f"{shown(one.name)} {one.key_id.hex()}" for one in keys))
        message = f"checkpoint: the required signature by key {ids} is missing"
        self._wrong("checkpoint.signature", message, file, start, stop)

    def _rest(self, content: bytes, used: int, name: str) -> None:
        """Judge the bytes after the last whole note of a history."""
        rest = content[used:]
        if not rest:
            return
        if not _lacks_sectors(content, used) and not self._may_be_cut_off(rest):
            self._wrong("checkpoint.damaged", "the last checkpoint is damaged", name, used, len(content))
            return
        self._read.torn = True
        self._found(
            Finding(
                rule="checkpoint.torn",
                severity="warning",
                message="the last checkpoint was not completely written",
                file=name,
                start=used,
                stop=len(content),
            )
        )

    def _alone(self, name: str) -> bytes | Malformed | None:
        """Return the content of the file of the newest checkpoint; None if there is none."""
        path = self._directory / name
        try:
            return content_of_small(path) if path.exists() else None
        except Malformed as error:
            return error

    def _newest(
        self, name: str, note: bytes | Malformed | None, own: list[Signed], history: list[bytes] | None
    ) -> None:
        """Compare the newest checkpoint with the history. note: content of the newest checkpoint's file. history: None
        if there is none."""
        if note is None:
            if len(own) == 1:
                self._behind(name)
            elif own:
                self._wrong("checkpoint.missing", "the file of the newest checkpoint is missing", name)
            return
        self._read.lacks_history |= history is None
        if isinstance(note, Malformed):
            self._wrong("checkpoint.damaged", note.message, name)
            return
        signed = self._signed(note, name, 0, cosigned=name == "cosigned")
        if signed is None:
            return
        if history is None:
            self._read.history.append(signed)
        elif note not in history:
            message = f"the newest checkpoint, of size {signed.checkpoint.size}, is not in the history"
            self._wrong("checkpoint.history", message, name)
        elif note != history[-1]:
            self._behind(name)

    def _behind(self, name: str) -> None:
        """Warn that the file lags behind the history: the history is written first, and a power cut or a copy may fall
        between the two writes."""
        message = "the newest checkpoint is only in the history, as after a power failure"
        self._found(Finding(rule="checkpoint.behind", severity="warning", message=message, file=name))

    def _may_be_cut_off(self, rest: bytes) -> bool:
        """Whether the bytes are the start of a checkpoint that a power cut left unfinished, possibly followed by zeros.

        Once the first signature line is whole, the checkpoint must be, too, except for further signatures.
        """
        text = rest.rstrip(b"\x00")
        if _CONTROL.search(text):
            return False
        whole = text[: text.rfind(b"\n") + 1]
        if not any(line.startswith("— ".encode()) for line in whole.split(b"\n")):
            return True
        try:
            note = Note.parse(whole)
            return self._read.key in note.verify(self._read.keys)
        except (Malformed, Unverified):
            return False

    def _wrong(
        self, rule: str, message: str, file: str, start: int | None = None, stop: int | None = None
    ) -> None:
        self._found(Finding(rule=rule, severity="error", message=message, file=file, start=start, stop=stop))


def _lacks_sectors(content: bytes, start: int) -> bool:
    """Whether the bytes from `start` on are text with missing sectors. After a power cut, any subset of a write's
    sectors may be on disk."""
    stops = range((start // SECTOR_BYTES + 1) * SECTOR_BYTES, len(content), SECTOR_BYTES)
    pieces = [content[at:stop] for at, stop in zip([start, *stops], [*stops, len(content)], strict=True)]
    kept = [one.rstrip(b"\x00") for one in pieces if any(one)]
    return len(kept) < len(pieces) and not any(map(_CONTROL.search, kept))
