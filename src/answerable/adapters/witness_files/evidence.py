"""Store evidence against a log, one JSON file each: what the log signed, and the cosigned checkpoint that contradicts
it."""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.adapters.witness_files import files
from answerable.core.identity.names.principal import UnixMillis
from answerable.ports.witness_register import Evidence, EvidenceKind

if TYPE_CHECKING:
    from pathlib import Path

KEPT_MAX: Final[dict[EvidenceKind, int]] = {"fork": 64, "older": 16, "unproven": 16}
"""Limit of each kind and log, so that evidence which any caller can cause never displaces evidence that only the log
can cause."""
FILE_BYTES_MAX: Final = 4_194_304

_NAME_CHARS: Final = 16
_log: Final = logging.getLogger(__name__)


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    kind: EvidenceKind
    at: int
    size: int
    known: str
    request: str


class EvidenceFiles:
    """The evidence about one log. Methods raise OSError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def keep(self, evidence: Evidence) -> None:
        """Store it, unless this checkpoint is stored already or the limit of its kind is reached."""
        name = f"{evidence.kind}-{sha256(_signed_part(evidence.request)).hexdigest()[:_NAME_CHARS]}.json"
        path = self.directory / name
        if path.exists():
            return
        files.make_directory(self.directory)
        of_kind = sum(1 for one in self.directory.glob(f"{evidence.kind}-*.json"))
        if of_kind >= KEPT_MAX[evidence.kind]:
            _log.warning("%s: %d of this kind are kept, this one is not", path.name, of_kind)
            return
        _log.warning("the log signed a checkpoint that does not fit: evidence in %s", path)
        files.replace(path, _encoded(evidence))

    def kept(self) -> list[Evidence]:
        """Return the evidence, oldest first. A file that is not evidence is skipped and logged."""
        found = []
        for path in self.directory.glob("*.json") if self.directory.is_dir() else ():
            content = files.read_at_most(path, FILE_BYTES_MAX) or b""
            try:
                stored = msgspec.json.decode(content, type=_Stored)
            except msgspec.MsgspecError:
                _log.warning("%s is not evidence that a witness wrote", path)
                continue
            found.append(
                Evidence(
                    kind=stored.kind,
                    at=UnixMillis(stored.at),
                    size=stored.size,
                    known=stored.known.encode(),
                    request=stored.request.encode(),
                )
            )
        return sorted(found, key=lambda one: one.at)


def _signed_part(request: bytes) -> bytes:
    """Return the text that the log signed: other wrapping around it does not make new evidence."""
    checkpoint = request.partition(b"\n\n")[2]
    return checkpoint.partition(b"\n\n")[0]


def _encoded(evidence: Evidence) -> bytes:
    value: dict[str, Any] = {
        "at": evidence.at,
        "kind": evidence.kind,
        "known": evidence.known.decode(),
        "request": evidence.request.decode(),
        "size": evidence.size,
    }
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
