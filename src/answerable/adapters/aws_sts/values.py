"""Convert between JSON and botocore's parameters and results: bytes, times and streams."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from answerable.errors.codes.leases import TARGET_ARGUMENTS

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

DEPTH_MAX: Final = 32
INTEGER_MAX: Final = 2**53 - 1


def parameters_of(shape: Any, value: JSONValue, depth: int = 0) -> Any:
    """Convert JSON parameters to botocore's types. Where the API expects bytes, a text is taken as UTF-8 and {`base64`:
    …} as any bytes.

    Raises Refused (`target.arguments`).
    """
    if depth > DEPTH_MAX:
        raise TARGET_ARGUMENTS(f"parameters are nested deeper than {DEPTH_MAX} levels")
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = shape.members
        return {
            name: parameters_of(members[name], one, depth + 1) if name in members else one
            for name, one in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [parameters_of(shape.member, one, depth + 1) for one in value]
    if kind == "map" and isinstance(value, dict):
        return {name: parameters_of(shape.value, one, depth + 1) for name, one in value.items()}
    if kind == "blob":
        return _octets(value)
    return value


def answer_of(value: Any, bytes_max: int) -> JSONValue:
    """Convert a botocore result to JSON. Streams are read up to `bytes_max` bytes; a stream that is cut has `cut:
    true`."""
    if isinstance(value, dict):
        return {
            str(name): answer_of(one, bytes_max) for name, one in value.items() if name != "ResponseMetadata"
        }
    if isinstance(value, (list, tuple)):
        return [answer_of(one, bytes_max) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return _told(bytes(value), is_cut=False)
    if hasattr(value, "read"):
        received = value.read(bytes_max + 1)
        return _told(received[:bytes_max], is_cut=len(received) > bytes_max)
    if isinstance(value, int) and not -INTEGER_MAX <= value <= INTEGER_MAX:
        return str(value)
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _octets(value: JSONValue) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        try:
            return b64decode(value["base64"], validate=True)
        except (Base64Error, ValueError):
            pass
    raise TARGET_ARGUMENTS("bytes must be text or an object with `base64` alone")


def _told(octets: bytes, *, is_cut: bool) -> JSONValue:
    cut: dict[str, JSONValue] = {"cut": True} if is_cut else {}
    try:
        return {"text": octets.decode(), **cut}
    except UnicodeDecodeError:
        return {"base64": b64encode(octets).decode(), **cut}
