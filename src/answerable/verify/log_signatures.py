"""The signed side of a ledger directory: its key, its checkpoints, and what the writer said about itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.codec import Head, notes_in
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Malformed, Unverified
from answerable.verify.report import Finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEPT: Final = "kept checkpoint"
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_SMALL_FILE_BYTES_MAX: Final = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A checkpoint with a good signature, and where it stands."""

    checkpoint: Checkpoint
    file: str
    start: int
    stop: int


@dataclass(slots=True, kw_only=True)
class Signatures:
    """history: checkpoints by size. count: of the log's own files. kept_size: of the caller's checkpoint, -1 without.

    torn: `checkpoints.log` ends in a checkpoint that was not completely written.
    """

    origin: str = ""
    key: VerifierKey | None = None
    key_given: bool = False
    history: list[Signed] = field(default_factory=list)
    count: int = 0
    kept_size: int = -1
    head: Head | None = None
    torn: bool = False


def read_signatures(
    directory: Path, key: VerifierKey | None, kept: bytes | None, found: Callable[[Finding], None]
) -> Signatures:
    """Read and verify them; what is wrong goes to `found`."""
    read = Signatures(key_given=key is not None)
    read.key = _key(directory, key, found)
    if read.key is None:
        return read
    read.origin = read.key.name
    _read_history(directory / "checkpoints.log", read, found)
    _read_newest(directory / "checkpoint", read, found)
    if kept is not None:
        signed = _signed(kept, KEPT, 0, read, found)
        if signed is not None:
            read.kept_size = signed.checkpoint.size
            read.history.append(signed)
    read.head = _head(directory / "head", read, found)
    read.history.sort(key=lambda one: one.checkpoint.size)
    return read


def _key(directory: Path, given: VerifierKey | None, found: Callable[[Finding], None]) -> VerifierKey | None:
    path = directory / "log.pub"
    beside: VerifierKey | None = None
    try:
        text = _content(path)
        if text.count(b"\n") != 1 or not text.endswith(b"\n"):
            raise Malformed("not one line", code="note.key")
        beside = VerifierKey.parse(text.decode().removesuffix("\n"))
    except (Malformed, ValueError, FileNotFoundError):
        _error(found, "key.file", "the log's verifier key cannot be read", path)
    if given is not None and beside is not None and given != beside:
        _error(found, "key.other", "the verifier key beside the log is not the one given", path)
    return given or beside


def _read_history(path: Path, read: Signatures, found: Callable[[Finding], None]) -> None:
    content = path.read_bytes() if path.exists() else b""
    notes, used = notes_in(content)
    start = 0
    for note in notes:
        signed = _signed(note, path.name, start, read, found)
        if signed is None:
            return
        if read.history and signed.checkpoint.size < read.history[-1].checkpoint.size:
            message = f"a checkpoint of size {signed.checkpoint.size} follows one that is larger"
            _error(found, "checkpoint.order", message, path, start, start + len(note))
        read.history.append(signed)
        start += len(note) + 1
    read.count = len(notes)
    rest = content[used:]
    if not rest:
        return
    if not _may_be_cut_off(rest, read):
        _error(found, "checkpoint.damaged", "the last checkpoint is damaged", path, used, len(content))
        return
    read.torn = True
    message = "the last checkpoint was not completely written"
    found(
        Finding(
            rule="checkpoint.torn",
            severity="warning",
            message=message,
            file=path.name,
            start=used,
            stop=len(content),
        )
    )


def _read_newest(path: Path, read: Signatures, found: Callable[[Finding], None]) -> None:
    """The newest checkpoint stands in a file of its own too, and must be one of the history."""
    if not path.exists():
        if len(read.history) == 1:
            _behind(path, found)
        elif read.history:
            _error(found, "checkpoint.missing", "the file of the newest checkpoint is missing", path)
        return
    try:
        note = _content(path)
    except Malformed as error:
        _error(found, "checkpoint.damaged", error.message, path)
        return
    signed = _signed(note, path.name, 0, read, found)
    if signed is None:
        return
    sizes = [one.checkpoint.size for one in read.history]
    if signed.checkpoint not in [one.checkpoint for one in read.history[-2:]]:
        message = f"the newest checkpoint, of size {signed.checkpoint.size}, is not the last of the history"
        _error(found, "checkpoint.history", message, path)
    elif signed.checkpoint.size < sizes[-1]:
        _behind(path, found)


def _behind(path: Path, found: Callable[[Finding], None]) -> None:
    """The history is written first, so a power cut may come between the two."""
    message = "the newest checkpoint is in the history alone, as after a power cut"
    found(Finding(rule="checkpoint.behind", severity="warning", message=message, file=path.name))


def _head(path: Path, read: Signatures, found: Callable[[Finding], None]) -> Head | None:
    if not path.exists():
        return None
    try:
        head = Head.parse(_content(path))
    except Malformed as error:
        _error(found, "head.damaged", error.message, path)
        return None
    if head.origin != read.origin:
        _error(found, "head.origin", "the head belongs to another log", path)
        return None
    return head


def _signed(
    note: bytes, file: str, start: int, read: Signatures, found: Callable[[Finding], None]
) -> Signed | None:
    keys = () if read.key is None else (read.key,)
    stop = start + len(note)
    try:
        checkpoint = verified_checkpoint(note, origin=read.origin, log_keys=keys)
    except (Malformed, Unverified) as error:
        found(
            Finding(
                rule="checkpoint.signature",
                severity="error",
                message=f"checkpoint: {error.message}",
                file=file,
                start=start,
                stop=stop,
            )
        )
        return None
    return Signed(checkpoint=checkpoint, file=file, start=start, stop=stop)


def _may_be_cut_off(rest: bytes, read: Signatures) -> bool:
    """Whether the bytes are the start of a checkpoint that a power cut left unfinished, perhaps with zeros after it.

    Once its signature line is whole, so must the checkpoint be.
    """
    text = rest.rstrip(b"\x00")
    if _CONTROL.search(text):
        return False
    if any(line.startswith("— ".encode()) for line in text.split(b"\n")[:-1]):
        try:
            verified_checkpoint(text, origin=read.origin, log_keys=() if read.key is None else (read.key,))
        except (Malformed, Unverified):
            return False
    return True


def _content(path: Path) -> bytes:
    with path.open("rb") as opened:
        content = opened.read(_SMALL_FILE_BYTES_MAX + 1)
    if len(content) > _SMALL_FILE_BYTES_MAX:
        raise Malformed("the file is too large", code="log.file_size")
    return content


def _error(
    found: Callable[[Finding], None],
    rule: str,
    message: str,
    path: Path,
    start: int | None = None,
    stop: int | None = None,
) -> None:
    found(Finding(rule=rule, severity="error", message=message, file=path.name, start=start, stop=stop))
