"""Hide a target's secrets in its answers, in every known encoding, before anybody sees them.

Laws: content without a secret is unchanged; JSON is searched again after parsing, because a character can be escaped in
many ways; a secret too short to distinguish from other text is refused when settings are read (`SECRET_CHARS_MIN`), not
here. Encodings beyond `credential_encodings` (compressed, encrypted, reversed) are not detected: answers in an encoding
that was not requested are not shown at all.
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
    """Hides the secrets that it was created with."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {spelling for secret in secrets if secret for spelling in spellings_of(secret)}
        ordered = sorted(found, key=lambda one: (-len(one), one))
        self._pattern = re.compile(b"|".join(re.escape(one) for one in ordered)) if ordered else None
        self.bytes_max = max((len(one) for one in ordered), default=0)
        """The longest encoding: how much must be read beyond a cut so that no secret is split."""

    def hidden_in(self, content: bytes) -> bytes:
        """Return the content, with `[hidden: credential]` in place of each secret."""
        return content if self._pattern is None else self._pattern.sub(HIDDEN, content)

    def hidden_text(self, text: str) -> str:
        """Hide secrets in a text."""
        return self.hidden_in(text.encode("utf-8", "replace")).decode()

    def hidden_value(self, value: JSONValue) -> JSONValue:
        """Hide secrets in every text of a parsed JSON value, including member names."""
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
    """Hide secrets in a text that arrives in pieces: a possible beginning of a secret waits for the next piece."""

    def __init__(self, credential_redaction: Echoes) -> None:
        self._echoes = credential_redaction
        self._waiting = b""

    def pass_on(self, piece: str) -> str:
        """Return the text that can be shown by now."""
        whole = self._echoes.hidden_in(self._waiting + piece.encode("utf-8", "replace"))
        keep = max(0, self._echoes.bytes_max - 1)
        at = len(whole) - keep
        # Never cut inside a character: one that begins before the cut waits with the rest.
        while 0 < at < len(whole) and whole[at] & 0xC0 == 0x80:
            at -= 1
        at = max(0, at)
        ready, self._waiting = whole[:at], whole[at:]
        return ready.decode()

    def rest(self) -> str:
        """Return the waiting text at the end of the stream."""
        ready, self._waiting = self._echoes.hidden_in(self._waiting), b""
        return ready.decode()
