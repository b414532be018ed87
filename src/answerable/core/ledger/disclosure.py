"""Selectively disclosable fields: the leaf holds a salted digest of each field, the attachment the fields themselves
(RFC 9901).

Laws: a digest reveals nothing without the salt; a field disclosed with its salt can be checked against the leaf alone;
salts are random and used once, so that equal values have unequal digests.
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
"""Maximum per entry on reading."""

_KEYS_END: Final = DATA_KEY_BYTES + NONCE_BYTES
_SALT_CHARS: Final = 24
_DIGEST_CHARS: Final = 43
_NAME_AT: Final = _SALT_CHARS + 5
"""Offset of the name in `["<salt>","<name>",<value>]`."""
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

Field: TypeAlias = "tuple[bytes, bytes]"
"""Name, of ASCII letters and `_`, and value as JSON on one line."""


class Sealing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is needed to seal one subject's fields. random: returns that many unpredictable bytes."""

    key: SubjectKey
    random: Callable[[int], bytes]


class Disclosure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One field as it was sealed. array: `["<salt>","<name>",<value>]`. value: JSON as recorded."""

    name: str
    value: msgspec.Raw
    array: bytes

    @property
    def encoded(self) -> str:
        """The RFC 9901 disclosure, in the form in which it is handed out."""
        return _base64url(self.array).rstrip(b"=").decode()

    @property
    def digest(self) -> str:
        """The field's digest, as in the leaf's `_sd`."""
        return digest_of(self.array)


def sealed_fields(fields: Sequence[Field], sealing: Sealing) -> tuple[list[str], bytes]:
    """Return the digests for the leaf's `_sd`, sorted, and the attachment."""
    chance = sealing.random(_KEYS_END + DISCLOSURE_SALT_BYTES * len(fields))
    # All salts, and further down all digests, are encoded in one call: this is most of the cost of a record.
    salts = b2a_base64(chance[_KEYS_END:], newline=False).translate(_URL_SAFE)
    lines: list[bytes] = []
    hashed = b""
    at = 0
    for name, value in fields:
        array = b'["%b","%b",%b]' % (salts[at : at + _SALT_CHARS], name, value)
        at += _SALT_CHARS
        lines.append(array)
        coded = b2a_base64(array).rstrip(b"=\n")
        # Base64 of JSON hardly has either character: to search for one costs a tenth of translating all.
        if b"+" in coded or b"/" in coded:
            coded = coded.translate(_URL_SAFE)
        # A zero byte after each digest gives it 44 characters of its own, of which the last is dropped.
        hashed += sha256(coded).digest() + b"\0"
    text = b2a_base64(hashed, newline=False).translate(_URL_SAFE).decode()
    digests = [text[i : i + _DIGEST_CHARS] for i in range(0, len(text), _DIGEST_CHARS + 1)]
    digests.sort()
    lines.append(b"")
    attachment = sealing.key.sealed(
        b"\n".join(lines), data_key=chance[:DATA_KEY_BYTES], nonce=chance[DATA_KEY_BYTES:_KEYS_END]
    )
    return digests, attachment


class Section(NamedTuple):
    """Fields sealed for one subject, beside those of other subjects in the same entry."""

    fields: Sequence[Field]
    sealing: Sealing


INNER: Final = "inner"
"""Field of the first section that lists digests of fields in separate sections, outside the leaf: there may be more of
them than fit in a leaf."""


def sealed_sections(sections: Sequence[Section], inner: Sequence[Section]) -> tuple[list[str], bytes]:
    """Seal several sections like `sealed_fields`, each for its own subject. inner: sections of one field each, whose
    digests are in the first section and not in the leaf (RFC 9901, section 4.2.6)."""
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
    """Parse `["<salt>","<name>",<value>]`. Raises Malformed (`ledger.disclosure`)."""
    try:
        _, name, value = _ARRAY.decode(array.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise LEDGER_DISCLOSURE("not a disclosure") from None
    return Disclosure(name=name, value=msgspec.Raw(bytes(value)), array=array)


def opened_fields(attachment: bytes, key: SubjectKey) -> tuple[Disclosure, ...]:
    """Decrypt the fields in an attachment, in the order in which they were sealed. Does not check them against the
    leaf.

    Raises Malformed (`ledger.disclosure`, `ledger.envelope`), Unverified (`ledger.envelope`).
    """
    return tuple(parsed_disclosure(line) for line in _lines(attachment, key))


def committed_fields(
    attachment: bytes, key: SubjectKey, digests: object, wanted: frozenset[str]
) -> dict[str, bytes] | None:
    """Return the values of the wanted fields, by name, as written; the reader checks that they are JSON. digests: the
    leaf's `_sd`. None where that has another number of fields, or lacks the digest of a wanted field. Of other fields
    only the name is read.

    Raises as `opened_fields`.
    """
    lines = _lines(attachment, key)
    if not isinstance(digests, list) or len(digests) != len(lines):
        return None
    found: dict[str, bytes] = {}
    for line in lines:
        # Our writer puts a plain name after a salt of fixed length. Any other form is parsed in full.
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
