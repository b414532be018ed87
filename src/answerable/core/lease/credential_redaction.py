"""A secret that comes back in an answer is hidden before anybody sees it, in every spelling that is known.

Laws: what holds no secret comes back as it was; what is JSON is searched again once it is read, for there a character
can be written in many ways; what is too short to tell from other text is refused as a secret when settings are read
(`SECRET_CHARS_MIN`), not here. Other codings than those of `spellings` (compressed, encrypted, reversed) are not seen:
answers in a coding that nobody asked for are not shown at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.lease.credential_encodings import spellings_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue

SECRET_CHARS_MIN: Final = 8
HIDDEN: Final = b"[hidden: credential]"


class Echoes:
    """Hides the secrets that it was made with."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {spelling for secret in secrets if secret for spelling in spellings_of(secret)}
        ordered = sorted(found, key=lambda one: (-len(one), one))
        self._pattern = re.compile(b"|".join(re.escape(one) for one in ordered)) if ordered else None
        self.bytes_max = max((len(one) for one in ordered), default=0)
        """The longest spelling: how much must be read beyond a cut so that none is cut in two."""

    def hidden_in(self, content: bytes) -> bytes:
        """The content, with `[hidden: credential]` in place of each."""
        return content if self._pattern is None else self._pattern.sub(HIDDEN, content)

    def hidden_text(self, text: str) -> str:
        """The same for a text."""
        return self.hidden_in(text.encode("utf-8", "replace")).decode()

    def hidden_value(self, value: JSONValue) -> JSONValue:
        """The same for each text of what was read from JSON, names of members included."""
        if isinstance(value, str):
            return self.hidden_text(value)
        if isinstance(value, list):
            return [self.hidden_value(one) for one in value]
        if isinstance(value, dict):
            return {self.hidden_text(name): self.hidden_value(one) for name, one in value.items()}
        return value

    def __repr__(self) -> str:
        return "Echoes()"


class EchoStream:
    """The same for a text that comes piece by piece: what may be the start of a secret waits for the next piece."""

    def __init__(self, credential_redaction: Echoes) -> None:
        self._echoes = credential_redaction
        self._waiting = b""

    def pass_on(self, piece: str) -> str:
        """What can be shown by now."""
        whole = self._echoes.hidden_in(self._waiting + piece.encode("utf-8", "replace"))
        keep = max(0, self._echoes.bytes_max - 1)
        at = len(whole) - keep
        # Never in the middle of a character: one that begins before the cut waits with the rest.
        while 0 < at < len(whole) and whole[at] & 0xC0 == 0x80:
            at -= 1
        at = max(0, at)
        ready, self._waiting = whole[:at], whole[at:]
        return ready.decode()

    def rest(self) -> str:
        """What still waits, when nothing more comes."""
        ready, self._waiting = self._echoes.hidden_in(self._waiting), b""
        return ready.decode()
