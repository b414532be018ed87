"""Convert an HTTP response to the result that an agent receives: bounded, without secrets, and marked where it was cut.
Pure."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import DEPTH_MAX, Limits, parse
from answerable.core.lease.credential import Performed
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential_redaction import Echoes

TEXT_CHARS_MAX: Final = 2_000
HEADER_CHARS_MAX: Final = 2_048
SHOWN_HEADERS: Final = frozenset(
    "allow content-language content-type etag last-modified link location retry-after".split()
)
SESSION_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "x-amzn-requestid",
    "x-ms-request-id",
    "x-github-request-id",
    "cf-ray",
    "x-message-id",
)
"""Headers in which servers name a request as in their own logs; the last names the message that was sent."""
SESSION_CHARS_MAX: Final = 128


def performed(
    status: int,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    credential_redaction: Echoes,
    bytes_max: int,
    is_cut: bool,
    tag: str,
) -> Performed:
    """Return the result. body: the bytes read; if there were more, at least `credential_redaction.bytes_max` beyond
    `bytes_max`. is_cut: there were more. tag: the action's id, which the server may echo."""
    fields = {
        name.lower(): credential_redaction.hidden_text(value)[:HEADER_CHARS_MAX]
        for name, value in headers
        if name.lower() in SHOWN_HEADERS
    }
    found: dict[str, JSONValue] = {"status": status, "headers": dict(sorted(fields.items()))}
    coding = next((value.lower() for name, value in headers if name.lower() == "content-encoding"), "")
    if coding not in ("", "identity"):
        # Compression was not requested, and secrets in a compressed body cannot be found.
        found["hidden"] = "the body came compressed although that was not asked for, and is not shown"
    else:
        found |= _body(body, fields.get("content-type", ""), credential_redaction, bytes_max, is_cut=is_cut)
    result: dict[str, object] = {
        "content": [{"type": "text", "text": _text(status, found)}],
        "structuredContent": found,
        "isError": status >= 400,
    }
    return Performed(result=result, session=_session(headers, credential_redaction, tag))


def _body(
    content: bytes, kind: str, credential_redaction: Echoes, bytes_max: int, *, is_cut: bool
) -> dict[str, JSONValue]:
    shown = credential_redaction.hidden_in(content)
    if is_cut:
        # Redaction shortens the text and would move its last bytes, which may hold half a secret, into the visible
        # part.
        shown = shown[: max(0, len(shown) - credential_redaction.bytes_max)]
    cut = is_cut or len(shown) > bytes_max
    shown = shown[:bytes_max] if cut else shown
    found: dict[str, JSONValue] = {"bytes": len(shown)}
    if cut:
        found["cut"] = True
    if not shown:
        return found
    if "json" in kind.lower() and not cut:
        try:
            parsed = parse(shown, limits=Limits(size_bytes_max=max(1, bytes_max), depth_max=DEPTH_MAX - 8))
            return found | {"json": credential_redaction.hidden_value(parsed)}
        except Malformed:
            pass
    try:
        text = shown.decode("utf-8", "strict" if not cut else "ignore")
    except UnicodeDecodeError:
        return found | {"base64": b64encode(shown).decode()}
    return found | {"text": text}


def _text(status: int, found: dict[str, JSONValue]) -> str:
    said = found.get("text")
    lines = [f"HTTP {status}, {found.get('bytes', 0)} bytes" + (", cut" if found.get("cut") else "")]
    if isinstance(said, str):
        lines.append(said[:TEXT_CHARS_MAX] + ("…" if len(said) > TEXT_CHARS_MAX else ""))
    elif "hidden" in found:
        lines.append(str(found["hidden"]))
    return "\n".join(lines)


def _session(
    headers: Sequence[tuple[str, str]], credential_redaction: Echoes, tag: str
) -> tuple[tuple[str, str], ...]:
    """Return the server's names for the request. A header that only echoes our tag is left out."""
    said = {name.lower(): value for name, value in headers}
    return tuple(
        (
            f"http_{name.replace('-', '_')}",
            credential_redaction.hidden_text(value).strip("<>")[:SESSION_CHARS_MAX],
        )
        for name in SESSION_HEADERS
        if (value := said.get(name, "")) and value.isprintable() and value != tag
    )
