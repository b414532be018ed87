"""Disclosable fields: in the leaf a salted digest of each, in the attachment the fields themselves (RFC 9901).

Laws: a digest tells nothing to who lacks the salt; a field shown with its salt is checked against the leaf alone; salts
are random and used once, so that equal values have unequal digests.
"""

from __future__ import annotations

from binascii import b2a_base64
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from answerable.core.canonical import encode
from answerable.core.ledger.subject_key import DATA_KEY_BYTES, NONCE_BYTES, joined_sections
from answerable.errors.codes.ledger import LEDGER_DISCLOSURE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from answerable.core.ledger.subject_key import SubjectKey

DISCLOSURE_SALT_BYTES: Final = 18
"""144 bits, a multiple of three bytes, so that salts in a row are encoded at once."""
FIELDS_MAX: Final = 64
"""Of one entry, when it is read."""

_SALT_CHARS: Final = 24
_DIGEST_CHARS: Final = 43
_NAME_AT: Final = _SALT_CHARS + 5
"""Where in `["<salt>","<name>",<value>]` the name begins."""
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

Field: TypeAlias = "tuple[bytes, bytes]"
"""Name, of ASCII letters and `_`, and value as JSON on one line."""


class Sealing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What it takes to seal one subject's fields. random: that many unpredictable bytes."""

    key: SubjectKey
    random: Callable[[int], bytes]


class Disclosure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One field as it was sealed. array: `["<salt>","<name>",<value>]`. value: JSON as recorded."""

    name: str
    value: msgspec.Raw
    array: bytes

    @property
    def encoded(self) -> str:
        """The RFC 9901 disclosure: what is handed out."""
        return _base64url(self.array).rstrip(b"=").decode()

    @property
    def digest(self) -> str:
        """What the leaf's `_sd` holds of it."""
        return digest_of(self.array)


def sealed_fields(fields: Sequence[Field], sealing: Sealing) -> tuple[list[str], bytes]:
    """The digests for the leaf's `_sd`, sorted, and the attachment."""
    keys_end = DATA_KEY_BYTES + NONCE_BYTES
    chance = sealing.random(keys_end + DISCLOSURE_SALT_BYTES * len(fields))
    # All salts, and further down all digests, in one go: this is most of what a record costs.
    salts = _base64url(chance[keys_end:])
    lines: list[bytes] = []
    hashed: list[bytes] = []
    at = 0
    for name, value in fields:
        array = b'["%b","%b",%b]' % (salts[at : at + _SALT_CHARS], name, value)
        at += _SALT_CHARS
        lines.append(array)
        hashed.append(sha256(_base64url(array).rstrip(b"=")).digest())
    # A zero byte after each digest gives it 44 characters of its own; the last holds nothing of it and is left out.
    hashed.append(b"")
    text = _base64url(b"\0".join(hashed)).decode()
    digests = sorted(
        text[i : i + _DIGEST_CHARS] for i in range(0, len(fields) * (_DIGEST_CHARS + 1), _DIGEST_CHARS + 1)
    )
    lines.append(b"")
    attachment = sealing.key.sealed(
        b"\n".join(lines), data_key=chance[:DATA_KEY_BYTES], nonce=chance[DATA_KEY_BYTES:keys_end]
    )
    return digests, attachment


class Section(NamedTuple):
    """Fields that are sealed for one subject, beside those of others in the same entry."""

    fields: Sequence[Field]
    sealing: Sealing


INNER: Final = "inner"
"""Field of the first section: digests of fields that are in sections of their own and not in the leaf, for there may be
more of them than a leaf has room for."""


def sealed_sections(sections: Sequence[Section], inner: Sequence[Section]) -> tuple[list[str], bytes]:
    """As `sealed_fields`, each section for its own subject. inner: one field each, whose digests the first section has
    and not the leaf (RFC 9901, section 4.2.6)."""
    within = [sealed_fields(*one) for one in inner]
    first, *others = sections
    if within:
        listed = sorted(digest for digests, _ in within for digest in digests)
        first = Section([*first.fields, (INNER.encode(), encode([*listed]))], first.sealing)
    parts = [sealed_fields(*one) for one in (first, *others)]
    digests = sorted(digest for digests, _ in parts for digest in digests)
    return digests, joined_sections([attachment for _, attachment in (*parts, *within)])


def digest_of(array: bytes) -> str:
    """base64url(SHA-256(base64url(array))), without padding (RFC 9901, section 4.2.3)."""
    digest = sha256(_base64url(array).rstrip(b"=")).digest()
    return _base64url(digest).rstrip(b"=").decode()


def _base64url(content: bytes) -> bytes:
    return b2a_base64(content, newline=False).translate(_URL_SAFE)


_ARRAY: Final = msgspec.json.Decoder(tuple[str, str, msgspec.Raw])


def parsed_disclosure(array: bytes) -> Disclosure:
    """Read `["<salt>","<name>",<value>]`. Raises Malformed (`ledger.disclosure`)."""
    try:
        _, name, value = _ARRAY.decode(array.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise LEDGER_DISCLOSURE("not a disclosure") from None
    return Disclosure(name=name, value=msgspec.Raw(bytes(value)), array=array)


def opened_fields(attachment: bytes, key: SubjectKey) -> tuple[Disclosure, ...]:
    """The fields in an attachment, in the order in which they were sealed. Does not look at the leaf.

    Raises Malformed (`ledger.disclosure`, `ledger.envelope`), Unverified (`ledger.envelope`).
    """
    return tuple(parsed_disclosure(line) for line in _lines(attachment, key))


def committed_fields(
    attachment: bytes, key: SubjectKey, digests: object, wanted: frozenset[str]
) -> dict[str, bytes] | None:
    """The values of those fields that are wanted, by name, as they were written: that they are JSON is for who reads
    them. digests: the leaf's `_sd`; None where that has another number of fields, or lacks one of those that are
    wanted: of the others no more than the name is looked at.

    Raises as `opened_fields`.
    """
    lines = _lines(attachment, key)
    if not isinstance(digests, list) or len(digests) != len(lines):
        return None
    found: dict[str, bytes] = {}
    for line in lines:
        # As they are written, a plain name stands behind a salt of so many characters. Whatever else there is, is read.
        end = line.find(b'",', _NAME_AT)
        plain = line[_NAME_AT:end] if line[_NAME_AT - 3 : _NAME_AT] == b'","' else b""
        if plain.replace(b"_", b"").isalpha():
            name, value = plain.decode(), line[end + 2 : -1]
        else:
            one = parsed_disclosure(line)
            name, value = one.name, bytes(one.value)
        if name in wanted:
            if digest_of(line) not in digests:
                return None
            found[name] = value
    return found


def _lines(attachment: bytes, key: SubjectKey) -> list[bytes]:
    lines = key.opened(attachment).split(b"\n", FIELDS_MAX + 1)
    if lines.pop() or len(lines) > FIELDS_MAX:
        raise LEDGER_DISCLOSURE("the fields do not end where they should")
    return lines
