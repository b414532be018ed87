"""A press of the panic button: one file in the data directory, which needs nobody to run.

Laws: whatever is there under that name is a press, whether it can be read or not; the same press holds once, so that
one whose hold was lifted does not hold again; another press, also of the same file, is another one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.canonical import Limits, encode, parse
from answerable.core.containment.hold import REASON_CHARS_MAX
from answerable.errors import Malformed
from answerable.errors.codes.containment import HOLD_REASON

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

FILE: Final = "panic"
"""Its name in the data directory."""
READY: Final = "panic.ready"
"""A press that is kept beside it, so that one can be made without any room: by a rename."""
BYTES_MAX: Final = 4_096
ID_BYTES: Final = 16
ID_CHARS: Final = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """id: of this press, and of no other. by: who made the file, as the system knows them. reason: may be empty. told:
    what the file itself says of who it is, by which earlier releases knew it. written_at: Unix milliseconds."""

    id: str
    by: str
    reason: str = ""
    told: str = ""
    written_at: int = 0

    def is_held_by(self, rule: str, at: int) -> bool:
        """Whether a hold that a press placed is of this one. rule, at: of the hold."""
        return rule == self.id or (bool(self.told) and rule == self.told and at >= self.written_at)


def pressed_text(octets: bytes, reason: str) -> bytes:
    """What the file says. octets: ID_BYTES of chance. Raises Malformed (`hold.reason`)."""
    if len(reason) > REASON_CHARS_MAX or (reason and not reason.isprintable()):
        raise HOLD_REASON(f"a reason has at most {REASON_CHARS_MAX} printable characters on one line")
    return encode({"press": to_base64url(octets), "reason": reason}) + b"\n"


def press_in(text: bytes, *, by: str, where: str, written_ns: int = 0) -> Press:
    """The press of a file. text: what could be read of it, BYTES_MAX and one more at most. where: what tells this file
    from another one of the same text, as the system knows it. written_ns: when it was written or touched last, in Unix
    nanoseconds; whoever touches a press presses again, and a copy that keeps its time is the same press."""
    said = _said(text)
    if said is not None:
        name, reason = said
        at = written_ns // 1_000_000
        return Press(id=f"{name}-{written_ns:x}", by=by, reason=reason, told=name, written_at=at)
    return Press(id="file-" + hashlib.sha256(where.encode() + b"\0" + text).hexdigest()[:32], by=by)


def _said(text: bytes) -> tuple[str, str] | None:
    """Id and reason, if it is what `pressed_text` makes."""
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
