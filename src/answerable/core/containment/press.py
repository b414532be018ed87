"""The panic button: one file in the data directory, which works without any running process.

Laws: any file of that name is a press, readable or not; the same press holds once, so that it does not hold again after
a lift; another press, even by changing the same file, is a new one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.canonical import Limits, encode, parse
from answerable.core.containment.hold import ID_BYTES as HOLD_ID_BYTES
from answerable.core.containment.hold import REASON_CHARS_MAX, hold_id
from answerable.errors import Malformed
from answerable.errors.codes.containment import HOLD_REASON

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import HoldId

FILE: Final = "panic"
"""Name of the file in the data directory."""
READY: Final = "panic.ready"
"""A prepared press beside it, which a rename activates even on a full disk."""
BYTES_MAX: Final = 4_096
ID_BYTES: Final = 16
ID_CHARS: Final = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One press. id: unique to this press. by: the system account that made the file. reason: may be empty. told: the
    id in the file itself, by which earlier releases identified it. written_at: Unix milliseconds. is_told: whether the
    system told of the making of a file, and not of what is in it: whichever press was held since is this one.
    is_as_made: whether nobody but whoever made the file has named or dated it since."""

    id: str
    by: str
    reason: str = ""
    told: str = ""
    written_at: int = 0
    is_told: bool = False
    is_as_made: bool = False

    @property
    def hold(self) -> HoldId:
        """The id of this press's hold: the same one again after a crash on a disk that did not take it."""
        return hold_id(hashlib.sha256(b"panic\0" + self.id.encode()).digest()[:HOLD_ID_BYTES])

    def is_held_by(self, rule: str, at: int) -> bool:
        """Whether a hold that a press placed belongs to this press. rule, at: of the hold."""
        is_named = self.is_told or (bool(self.told) and rule == self.told)
        return rule == self.id or (is_named and at >= self.written_at)


def pressed_text(octets: bytes, reason: str) -> bytes:
    """Return the content of the file. octets: ID_BYTES random bytes. Raises Malformed (`hold.reason`)."""
    if len(reason) > REASON_CHARS_MAX or (reason and not reason.isprintable()):
        raise HOLD_REASON(f"a reason has at most {REASON_CHARS_MAX} printable characters on one line")
    return encode({"press": to_base64url(octets), "reason": reason}) + b"\n"


def press_in(text: bytes, *, by: str, where: str, written_ns: int = 0) -> Press:
    """Return the press that a file represents. text: its readable content, at most BYTES_MAX and one byte more. where:
    distinguishes this file from another with the same text, by system ids. written_ns: last written or touched, in Unix
    nanoseconds; touching a press is a new press, and a copy that keeps its time is the same press."""
    said = _said(text)
    if said is not None:
        name, reason = said
        at = written_ns // 1_000_000
        return Press(id=f"{name}-{written_ns:x}", by=by, reason=reason, told=name, written_at=at)
    return Press(id="file-" + hashlib.sha256(where.encode() + b"\0" + text).hexdigest()[:32], by=by)


def _said(text: bytes) -> tuple[str, str] | None:
    """Return id and reason, if the file is one that `pressed_text` wrote."""
    try:
        value: JSONValue = parse(text.strip(), limits=Limits(size_bytes_max=BYTES_MAX))
    except Malformed:
        return None
    if not isinstance(value, dict) or value.keys() != {"press", "reason"}:
        return None
    name, reason = value["press"], value["reason"]
    if not isinstance(name, str) or len(name) != ID_CHARS or not name.isascii() or not name.isprintable():
        return None
    if not isinstance(reason, str) or len(reason) > REASON_CHARS_MAX or (reason and not reason.isprintable()):
        return None
    return name, reason
