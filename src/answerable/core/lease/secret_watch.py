"""Detect secrets in passing data, as they are or in common encodings.

Laws: findings are reported by name, never by value; a secret split over pieces of a stream is detected like a whole
one. A planted secret (canary) opens nothing, so that its use shows that somebody read it without permission.

Not detected: encryption, compression, a secret split by other data, other alphabets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from answerable.core.lease.credential_encodings import SPELLING_BYTES_MIN, spellings_of
from answerable.errors.codes.leases import SECRET_CANARY_FORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TRIED_MAX: Final = 2_000
"""Up to this many encodings are searched one after the other, which is faster for few."""
PIECE_BYTES: Final = 65_536
CANARY_OCTETS: Final = 64
CANARY_FORMS: Final = ("aws", "github", "password", "slack", "url")
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class SecretWatch:
    """Searches for any number of secrets. Its representation reveals none."""

    __slots__ = ("_by_form", "_by_start", "_overlap")

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        self._by_form: dict[bytes, str] = {}
        for name, value in secrets:
            if len(value) >= SPELLING_BYTES_MIN:
                for form in spellings_of(value):
                    self._by_form.setdefault(form, name)
        self._overlap = max((len(form) for form in self._by_form), default=1) - 1
        self._by_start: dict[bytes, list[bytes]] = {}
        for form in self._by_form:
            self._by_start.setdefault(form[:SPELLING_BYTES_MIN], []).append(form)

    def __repr__(self) -> str:
        return f"SecretWatch({len(set(self._by_form.values()))} secrets)"

    def found_in(self, content: bytes) -> tuple[str, ...]:
        """Return the names of the secrets in the content, sorted."""
        forms = self._by_form if len(self._by_form) <= TRIED_MAX else self._begun_in(content)
        return tuple(sorted({self._by_form[form] for form in forms if form in content}))

    def _begun_in(self, content: bytes) -> Iterator[bytes]:
        """Yield the encodings whose beginning is in the content, with one look-up at each position, however many there
        are."""
        size = SPELLING_BYTES_MIN
        for start in range(0, len(content), PIECE_BYTES):
            piece = content[start : start + PIECE_BYTES + size - 1]
            for begun in {
                piece[at : at + size] for at in range(len(piece) - size + 1)
            } & self._by_start.keys():
                yield from self._by_start[begun]

    @property
    def is_idle(self) -> bool:
        """Whether there are no secrets to detect."""
        return not self._by_form

    def passing(self) -> PassingWatch:
        """Return a watch for data that arrives in pieces."""
        return PassingWatch(self, self._overlap)


class PassingWatch:
    """One stream. Keeps as much of the past data as the beginning of a secret may need."""

    def __init__(self, watch: SecretWatch, overlap: int) -> None:
        self._watch = watch
        self._overlap = overlap
        self._tail = b""

    def found_in(self, piece: bytes) -> tuple[str, ...]:
        """Return the names of the secrets that this piece completed, and of those in the end of the piece before."""
        joined = self._tail + piece
        self._tail = joined[-self._overlap :] if self._overlap else b""
        return self._watch.found_in(joined)


def texts_of(value: object) -> bytes:
    """Return every text and number in a JSON value, including member names, one a line and unescaped, because escaping
    again would hide a secret."""
    found: list[bytes] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        match one:
            case str():
                found.append(one.encode("utf-8", "replace"))
            case bytes():
                found.append(one)
            case Mapping():
                for name, inner in one.items():
                    waiting += (name, inner)
            case list() | tuple():
                waiting += one
            case bool() | None:
                pass
            case _:
                found.append(str(one).encode("utf-8", "replace"))
    return b"\n".join(found)


def canary_value(form: str, octets: bytes) -> str:
    """Return a fake secret of a common form that opens nothing. Raises Malformed (`secret.canary_form`)."""
    if form not in CANARY_FORMS or len(octets) < CANARY_OCTETS:
        raise SECRET_CANARY_FORM(f"a canary looks like one of {', '.join(CANARY_FORMS)}")
    letters = "".join(_LETTERS[one % len(_LETTERS)] for one in octets)
    match form:
        case "aws":
            return "AKIA" + "".join(_UPPER[one % len(_UPPER)] for one in octets[:16])
        case "github":
            return "ghp_" + letters[:36]
        case "slack":
            return f"xoxb-{int.from_bytes(octets[:5], 'big') % 10**12:012}-{letters[:24]}"
        case "url":
            return f"postgresql://reporting:{letters[:24]}@db.internal:5432/prod"
        case _:
            return letters[:24]
