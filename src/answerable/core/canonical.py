"""Canonical JSON: the only encoder of anything hashed or signed, and the strict parser in front of it.

Laws:
- one value has one encoding, RFC 8785 (JCS), whatever object held it;
- whatever `parse` returns, `encode` accepts, and parsing those bytes gives the same JSON value again;
- `freeze` copies: nobody who still holds the original can change what was frozen.

Both directions are narrower than JSON. Refused everywhere: NaN and infinities, integral numbers beyond
2**53 - 1 in either direction however they are spelled (`1e20` too, for its canonical form is an integer that
another reader may round), lone surrogates, nesting deeper than `DEPTH_MAX`. `parse` refuses duplicate members
and all that RFC 8259 calls invalid or optional, such as a byte order mark. `encode` takes exact JSON types
only: no tuples, no subclasses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias, cast

import msgspec
import rfc8785

from answerable.core import json_faults
from answerable.core.json_faults import duplicate, fault, first_fault, nodes, syntax_fault
from answerable.errors.codes import documents as codes

JSONValue: TypeAlias = "dict[str, JSONValue] | list[JSONValue] | str | int | float | bool | None"
"""A value that JSON can express, as its parser returns it."""
Octets: TypeAlias = bytes

DEPTH_MAX: Final = 64
"""Nesting depth of containers; a scalar has depth 0, `[]` has depth 1."""
INTEGER_MAX: Final = json_faults.INTEGER_MAX
"""Largest integer that every JSON reader represents exactly (RFC 7493, section 2.2)."""
NODES_MAX: Final = json_faults.NODES_MAX
"""Members and items in one value. Bounds the traversal of lists that contain one another many times."""
PARSE_BYTES_MAX: Final = 1_048_576
"""Size of one JSON text unless the caller sets another limit."""

_SORTED: Final = msgspec.json.Encoder(order="sorted")
_ANY_ORDER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()


class _FloatFoundError(Exception):
    """A text has a number with a fraction or an exponent."""


def _refused_float(_: str) -> float:
    raise _FloatFoundError


_WITHOUT_FLOATS: Final = msgspec.json.Decoder(float_hook=_refused_float)
_ALL_BUT_STRUCTURE: Final = bytes(one for one in range(256) if one not in b"{[:")
_ANY_DIGIT_AS_0: Final = bytes.maketrans(b"123456789", b"0" * 9)
_BEYOND_INTEGER: Final = b"0" * len(str(2**53 - 1))
"""As many digits as the shortest integer that may be out of bounds."""

# Below this, msgspec and RFC 8785 sort names alike: code points and UTF-16 units part at the surrogates.
_FIRST_SURROGATE: Final = "\ud800"
_INFINITY: Final = float("inf")

# What `_survey` reports about floats, as bits.
_FLOATS: Final = 1
_FLOATS_PRINTED_OTHERWISE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what `parse` reads: bytes of input, nesting depth of containers."""

    size_bytes_max: int = PARSE_BYTES_MAX
    depth_max: int = DEPTH_MAX

    def __post_init__(self) -> None:
        if self.size_bytes_max < 1 or not 0 <= self.depth_max <= DEPTH_MAX:
            raise codes.JSON_LIMITS(
                f"parse limits out of range: {self.size_bytes_max} bytes, depth {self.depth_max}"
            )


_LIMITS: Final = Limits()


class FrozenJSON(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An immutable JSON value: its canonical `bytes` and their SHA-256 `digest` (32 bytes).

    Built by `freeze` or `from_canonical`; the plain constructor trusts its argument and is only for these two. Equal
    when the bytes are equal. Its repr contains the digest, never the content.
    """

    bytes: Octets
    digest: Octets

    def __repr__(self) -> str:
        return f"FrozenJSON(sha256:{self.hex}, {len(self.bytes)} bytes)"

    @property
    def hex(self) -> str:
        """The digest in lower-case hexadecimal."""
        return self.digest.hex()

    def thaw(self) -> JSONValue:
        """Return a fresh copy of the value, parsed anew on every call; an integral float becomes an integer."""
        return cast("JSONValue", _DECODER.decode(self.bytes))

    @classmethod
    def from_canonical(cls, canonical: Octets, *, limits: Limits = _LIMITS) -> FrozenJSON:
        """Restore stored bytes. Raises Malformed `json.not_canonical` unless they are exactly RFC 8785."""
        value, floats, _ = _decoded(canonical, limits)
        # Bytes that encode to themselves contain no duplicate member.
        if _encoded(value, floats) != canonical:
            parse(canonical, limits=limits)
            raise codes.JSON_NOT_CANONICAL()
        return cls(bytes=canonical, digest=sha256(canonical).digest())


def freeze(value: JSONValue) -> FrozenJSON:
    """Copy a value into canonical bytes and their digest. Raises Malformed as `encode` does."""
    canonical = encode(value)
    return FrozenJSON(bytes=canonical, digest=sha256(canonical).digest())


def freeze_parsed(value: JSONValue) -> FrozenJSON:
    """As `freeze`, for a value made of values that `parse` returned, and of text: they are not checked again."""
    try:
        canonical = _SORTED.encode(value)
        if canonical.isascii() or not _beyond_bmp(canonical):
            _WITHOUT_FLOATS.decode(canonical)
            return FrozenJSON(bytes=canonical, digest=sha256(canonical).digest())
    except (_FloatFoundError, UnicodeEncodeError):
        pass
    return freeze(value)


def encode(value: JSONValue) -> bytes:
    """Return the RFC 8785 bytes of a value. Raises Malformed with a code and a JSON pointer to the first fault."""
    if type(value) is str:
        return _encoded(value, 0)
    return _encoded(value, _survey(value, DEPTH_MAX)[0])


def encode_ledger(value: JSONValue) -> bytes:
    """Encode, but refuse floats altogether: ledger records contain none. Raises Malformed `json.float`."""
    floats = _survey(value, DEPTH_MAX)[0]
    if floats:
        where = next(place for place, _, node in nodes(value) if type(node) is float)
        raise fault("a ledger record holds no floats, got one", where, code=codes.JSON_FLOAT)
    return _encoded(value, floats)


def parse(data: bytes, *, limits: Limits = _LIMITS) -> JSONValue:
    """Parse one JSON text strictly (RFC 8259 narrowed by RFC 7493). Raises Malformed: what and where."""
    if len(data) <= min(limits.size_bytes_max, NODES_MAX):
        try:
            value = cast("JSONValue", _WITHOUT_FLOATS.decode(data))
        except (_FloatFoundError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            if _is_surely_valid(data, value, limits.depth_max):
                return value
    value, _, members = _decoded(data, limits)
    if not _surely_distinct(data, value, members):
        where = duplicate(data)
        if where is not None:
            raise fault("member given twice", where, code=codes.JSON_DUPLICATE_MEMBER)
    return value


def _is_surely_valid(data: bytes, value: JSONValue, depth_max: int) -> bool:
    """Whether a text without floats needs no further check, by counting; False means only that counting cannot
    determine it.

    A text is nested no deeper than it has opening brackets, and its integers are in bounds if no run of digits is as
    long as the bound.
    """
    structure = data.translate(None, _ALL_BUT_STRUCTURE)
    colons = structure.count(b":")
    return (
        len(structure) - colons <= depth_max
        and _BEYOND_INTEGER not in data.translate(_ANY_DIGIT_AS_0)
        and b"\\u003" not in data
        and _ANY_ORDER.encode(value).count(b":") == colons
    )


def _decoded(data: bytes, limits: Limits) -> tuple[JSONValue, int, int]:
    """Return a value, bits for the floats in it, and the number of object members: checked, except for duplicate
    members."""
    if len(data) > limits.size_bytes_max:
        raise codes.JSON_SIZE(f"json text of {len(data)} bytes, expected at most {limits.size_bytes_max}")
    try:
        value = cast("JSONValue", _DECODER.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise syntax_fault(data, error) from None
    except RecursionError:
        raise codes.JSON_DEPTH(f"json nested deeper than {limits.depth_max} levels") from None
    return value, *_survey(value, limits.depth_max)


def _survey(value: JSONValue, depth_max: int) -> tuple[int, int]:
    """Check a whole value; return bits for the floats in it, and the number of object members. Raises Malformed.

    This is the check on the hot path. It works level by level, so that the depth is the number of rounds, and tests
    exact types, so that no subclass can present different content here and to the encoder. Text is left to the encoder,
    which refuses lone surrogates. This function only detects faults; `json_faults` describes them.
    """
    floats = members = items = 0
    level: list[dict[object, object] | list[object]] = [[value]]
    for _ in range(depth_max + 1):
        below: list[dict[object, object] | list[object]] = []
        for container in level:
            inside: Iterable[object]
            if type(container) is dict:
                members += len(container)
                for name in container:
                    if type(name) is not str:
                        raise first_fault(value, depth_max)
                inside = container.values()
            else:
                items += len(container)
                inside = container
            if members + items > NODES_MAX:
                raise first_fault(value, depth_max)
            for node in inside:
                if type(node) is str:
                    continue
                if type(node) is int:
                    if not -INTEGER_MAX <= node <= INTEGER_MAX:
                        raise first_fault(value, depth_max)
                elif type(node) is dict or type(node) is list:
                    below.append(node)
                elif type(node) is float:
                    found = _float_bits(node)
                    if not found:
                        raise first_fault(value, depth_max)
                    floats |= found
                elif node is not None and node is not True and node is not False:
                    raise first_fault(value, depth_max)
        if not below:
            return floats, members
        level = below
    raise first_fault(value, depth_max)


def _float_bits(number: float) -> int:
    """The bits of `_survey` for one float; 0 where RFC 8785 or the integer bound refuses it.

    Both encoders print the shortest digits that read back the same; only the layout differs, and not for
    fractions of ordinary size.
    """
    size = abs(number)
    if number.is_integer():
        return 0 if INTEGER_MAX < size < 1e21 else _FLOATS | _FLOATS_PRINTED_OTHERWISE
    if 1e-5 <= size < 1e15:
        return _FLOATS
    return _FLOATS | _FLOATS_PRINTED_OTHERWISE if size < _INFINITY else 0


def _encoded(value: JSONValue, floats: int) -> bytes:
    """Encode a vetted value: by msgspec where its bytes provably equal RFC 8785, else by `rfc8785`."""
    try:
        if not floats & _FLOATS_PRINTED_OTHERWISE:
            encoded = _SORTED.encode(value)
            if encoded.isascii() or not _beyond_bmp(encoded) or _names_sort_alike(value):
                return encoded
        return rfc8785.dumps(value)
    except (UnicodeEncodeError, rfc8785.CanonicalizationError):
        # Of everything checked, only a lone surrogate can still be at fault.
        raise first_fault(value, DEPTH_MAX) from None


def _beyond_bmp(utf8: bytes) -> bool:
    """Whether a UTF-8 text holds a code point above U+FFFF: only there do the two sort orders differ."""
    # Five searches for one byte each are several times faster than one regular expression.
    return b"\xf0" in utf8 or b"\xf1" in utf8 or b"\xf2" in utf8 or b"\xf3" in utf8 or b"\xf4" in utf8


def _names_sort_alike(value: JSONValue) -> bool:
    """Whether code point order equals UTF-16 order for every object in the value."""
    open_containers: list[JSONValue] = [value]
    while open_containers:
        node = open_containers.pop()
        if isinstance(node, dict):
            names = "".join(node)
            if not names.isascii() and max(names) >= _FIRST_SURROGATE:
                return False
            open_containers.extend(node.values())
        elif isinstance(node, list):
            open_containers.extend(node)
    return True


def _surely_distinct(data: bytes, value: JSONValue, members: int) -> bool:
    r"""Whether no member name was given twice, by counting; False means only that counting cannot determine it.

    The text has one colon for each member written, duplicates included, and one for each colon in a string. As many
    colons as members kept: nothing was dropped. Else the kept value, encoded again, has as many colons as the text:
    again nothing was dropped, unless an escaped colon (`\u003a`) replaced a lost one.
    """
    colons = data.count(b":")
    if colons == members:
        return True
    return b"\\u003" not in data and _ANY_ORDER.encode(value).count(b":") == colons
