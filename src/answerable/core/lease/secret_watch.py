"""Whether a secret is in something that passes: as it is, or as people and programs commonly write it.

Laws: what is found is told by name, never shown; a secret that came in pieces is found like one that came whole. A
planted secret (canary) opens nothing, so that whoever shows one has read what nobody should.

What it does not see: encryption, compression, a secret cut into parts with something between, other alphabets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from answerable.core.lease.credential_encodings import SPELLING_BYTES_MIN, spellings_of
from answerable.errors.codes.leases import SECRET_CANARY_FORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TRIED_MAX: Final = 2_000
"""Forms that are looked for one after the other, which is the faster way as long as they are few."""
PIECE_BYTES: Final = 65_536
CANARY_OCTETS: Final = 64
CANARY_FORMS: Final = ("aws", "github", "password", "slack", "url")
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class SecretWatch:
    """Looks for any number of secrets. Its representation shows none."""

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
        """The names of those that are in it, sorted."""
        forms = self._by_form if len(self._by_form) <= TRIED_MAX else self._begun_in(content)
        return tuple(sorted({self._by_form[form] for form in forms if form in content}))

    def _begun_in(self, content: bytes) -> Iterator[bytes]:
        """Forms whose beginning is in it: however many there are, it takes one look at each place."""
        size = SPELLING_BYTES_MIN
        for start in range(0, len(content), PIECE_BYTES):
            piece = content[start : start + PIECE_BYTES + size - 1]
            for begun in {
                piece[at : at + size] for at in range(len(piece) - size + 1)
            } & self._by_start.keys():
                yield from self._by_start[begun]

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to look for."""
        return not self._by_form

    def passing(self) -> PassingWatch:
        """For what comes in pieces."""
        return PassingWatch(self, self._overlap)


class PassingWatch:
    """One stream. Keeps as much of what passed as a secret could have begun in."""

    def __init__(self, watch: SecretWatch, overlap: int) -> None:
        self._watch = watch
        self._overlap = overlap
        self._tail = b""

    def found_in(self, piece: bytes) -> tuple[str, ...]:
        """The names of those that this piece completed, and of those in the end of the piece before."""
        joined = self._tail + piece
        self._tail = joined[-self._overlap :] if self._overlap else b""
        return self._watch.found_in(joined)


def texts_of(value: object) -> bytes:
    """Every text and number within a JSON value, names of members included, one a line and as it is: to escape it once
    more would hide it."""
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
    """A secret that looks like one of the usual ones and opens nothing. Raises Malformed (`secret.canary_form`)."""
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
