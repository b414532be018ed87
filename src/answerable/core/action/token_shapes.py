"""Detect strings that have the shape of a credential: hidden in a tool's answers, refused in an agent's arguments.

Laws: a finding is reported by its kind, never by its text; a text without findings is returned unchanged; the search
takes time linear in the text.

A token that is split or encoded once more is not detected: the shapes keep tokens out of prompts and logs, and do not
stop an agent that wants to smuggle a token. It is the binding by `cnf` that makes a stolen token useless.

Sources of the shapes: RFC 7515, section 7.1 (`eyJ` is the beginning of every JOSE object in compact form); RFC 7468
(PEM); RFC 6750, section 2.1; and the documented prefixes of the issuers named below.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HIDDEN: Final = b"[hidden: %b]"


class Finding(NamedTuple):
    """Detected credentials of one kind. number: how many."""

    kind: str
    number: int


class _Shape(NamedTuple):
    """One shape. hint: matches, in lower case, any text that the pattern matches. value: the group to hide."""

    kind: str
    hint: bytes
    pattern: re.Pattern[bytes]
    value: int = 0


# Order of precedence for a text that fits several shapes. Patterns begin with rare characters, for speed.
_SHAPES: Final = (
    _Shape(
        "private_key",
        b"private key",
        re.compile(
            # Line ends may be escaped as in JSON, or in JSON inside JSON; other escapes end the match.
            rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s:,-]|\\{1,4}[nrt]){0,16384}"
            rb"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----)?"
        ),
    ),
    # Three parts of a JWS, five of a JWE; the shortest header is `{"alg":""}`.
    _Shape(
        "jose",
        b"eyj",
        re.compile(
            rb"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*)?"
        ),
    ),
    _Shape(
        "github",
        b"gh[pousr]_|github_pat_",
        re.compile(rb"g(?:h[pousr]_[A-Za-z0-9]{36,251}|ithub_pat_[A-Za-z0-9_]{22,255})"),
    ),
    _Shape("gitlab", b"gl", re.compile(rb"gl(?:pat|dt|rt|ft|soat|cbt|ptt)-[A-Za-z0-9_-]{20,255}")),
    _Shape("aws", b"a[ks]ia", re.compile(rb"A(?:KIA|SIA)[A-Z2-7]{16}\b")),
    _Shape("slack", b"xox", re.compile(rb"xox[abeoprs]-[A-Za-z0-9-]{10,255}")),
    _Shape("google", b"aiza", re.compile(rb"AIza[A-Za-z0-9_-]{35}")),
    _Shape("google", rb"ya29\.", re.compile(rb"ya29\.[A-Za-z0-9_-]{20,2048}")),
    _Shape("stripe", b"k_(?:live|test)_", re.compile(rb"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}")),
    _Shape("model_provider", b"sk-", re.compile(rb"\bsk-[A-Za-z0-9_-]{32,255}")),
    _Shape("package_index", b"npm_", re.compile(rb"npm_[A-Za-z0-9]{36}")),
    _Shape("package_index", b"pypi-", re.compile(rb"pypi-AgE[A-Za-z0-9_-]{50,1024}")),
    _Shape("vault", rb"hv[sbr]\.", re.compile(rb"hv[sbr]\.[A-Za-z0-9_-]{20,1024}")),
    _Shape(
        "authorization",
        b"bearer |dpop |basic ",
        re.compile(rb"(?i:\b(?:bearer|dpop|basic)) {1,4}([A-Za-z0-9._~+/-]{16,8192}=*)"),
        value=1,
    ),
    # NAME=value and "name": "value" in files and answers, where the name indicates a secret.
    _Shape(
        "assigned_secret",
        b"token|secret|passw|api_?key|private_?key|credential",
        re.compile(
            rb"(?i:(?:token|secret|passw(?:or)?d|api_?key|private_?key|credential)[a-z0-9_]{0,32})"
            rb"(?:\\?[\"'])?[ \t]{0,4}[=:][ \t]{0,4}(?:\\?[\"'])?([A-Za-z0-9+/_.~-]{16,4096}=*)"
        ),
        value=1,
    ),
)


# Every finding has a run of this many characters of this set, or this beginning: most texts have neither.
_RUN: Final = b"a" * 15
_IN_RUN: Final = bytes(
    b"a"[0] if one in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_.~-" else b" "[0]
    for one in range(256)
)
_PEM: Final = b"-----BEGIN "
# One combined search ends the work for most texts, in half the time of one search for each literal.
_HINT: Final = re.compile(b"|".join(shape.hint for shape in _SHAPES))
_BY_HINT: Final = tuple((re.compile(shape.hint), shape) for shape in _SHAPES)


class _Span(NamedTuple):
    start: int
    end: int
    kind: str


def found_in(content: bytes) -> tuple[Finding, ...]:
    """Return the findings in a text, by kind; empty for nearly every text. content: JSON or any other UTF-8."""
    spans = _spans(content)
    return _counted(spans) if spans else ()


def hidden_in(content: bytes) -> tuple[bytes, tuple[Finding, ...]]:
    """Return the text with `[hidden: KIND]` in place of every finding, and the findings. JSON stays valid JSON."""
    spans = _spans(content)
    if not spans:
        return content, ()
    return _replaced(content, spans, lambda kind, _: HIDDEN % kind.encode()), _counted(spans)


def replaced_in(content: bytes, by: Callable[[str, bytes], bytes]) -> bytes:
    """Replace every finding in the text. by: returns the replacement for kind and found text."""
    return _replaced(content, _spans(content), by)


def _replaced(content: bytes, spans: list[_Span], by: Callable[[str, bytes], bytes]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for span in spans:
        pieces += (content[at : span.start], by(span.kind, content[span.start : span.end]))
        at = span.end
    return b"".join((*pieces, content[at:])) if spans else content


def described(findings: tuple[Finding, ...]) -> str:
    """Format findings for people: `1 jose, 2 github`."""
    return ", ".join(f"{one.number} {one.kind}" for one in findings)


def _spans(content: bytes) -> list[_Span]:
    """Return the spans to hide, from left to right, without overlaps: of two overlapping spans, the earlier one."""
    if _RUN not in content.translate(_IN_RUN) and _PEM not in content:
        return []
    lower = content.lower()
    if _HINT.search(lower) is None:
        return []
    found = [
        _Span(*match.span(shape.value), shape.kind)
        for hint, shape in _BY_HINT
        if hint.search(lower) is not None
        for match in shape.pattern.finditer(content)
    ]
    if len(found) < 2:
        return found
    # The sort is stable, so of two spans with the same start the one with precedence stays.
    found.sort(key=lambda span: span.start)
    kept: list[_Span] = []
    for span in found:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _counted(spans: Iterable[_Span]) -> tuple[Finding, ...]:
    counts: dict[str, int] = {}
    for span in spans:
        counts[span.kind] = counts.get(span.kind, 0) + 1
    return tuple(Finding(kind, count) for kind, count in sorted(counts.items()))
