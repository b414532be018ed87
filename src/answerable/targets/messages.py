"""Bodies of messages: texts that agents send, and what servers answer."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

MESSAGE_BYTES_MAX: Final = 1_048_576
CHARACTER_BYTES_MAX: Final = 4


def sent_text(name: str, given: JSONValue, *, bytes_max: int = MESSAGE_BYTES_MAX) -> bytes:
    """Return a text as it is sent. name: of the argument. Raises Refused (`target.arguments`)."""
    if not isinstance(given, str):
        raise TARGET_ARGUMENTS(f"{shown(name)} must be text")
    try:
        octets = given.encode()
    except UnicodeEncodeError:
        raise TARGET_ARGUMENTS(f"{shown(name)} contains an unpaired surrogate") from None
    if len(octets) > bytes_max:
        raise TARGET_ARGUMENTS(f"{shown(name)} must have at most {bytes_max} bytes")
    return octets


def shown_body(body: bytes, bytes_max: int) -> tuple[JSONValue, bool, str]:
    """Return a body as JSON, whether it was cut, and a text that says the same. Bytes that are no text become an object
    with `base64`."""
    octets = body[:bytes_max]
    is_cut = len(body) > len(octets)
    said: JSONValue
    try:
        said = octets.decode()
    except UnicodeDecodeError as odd:
        # Leave out a character that the limit cut in two.
        if is_cut and odd.start > len(octets) - CHARACTER_BYTES_MAX:
            said = octets[: odd.start].decode()
        else:
            said = {"base64": b64encode(octets).decode()}
    return said, is_cut, (said if isinstance(said, str) else "(no text)") + " (cut)" * is_cut
