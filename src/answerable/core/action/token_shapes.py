"""Strings that have the shape of a credential: hidden in what a tool answers, refused in what an agent sends.

Laws: what is found is named by its kind and never shown; a text without a find comes back as it was; a search costs
time in proportion to the text, whatever the text is.

Whoever splits a token, or encodes it once more, gets it past these shapes: they keep tokens from lying about in prompts
and logs, they do not stop an agent that wants to smuggle one. That a stolen token is of no use is the doing of `cnf`.

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
    """kind: what it looks like. number: how many of these."""

    kind: str
    number: int


class _Shape(NamedTuple):
    """hint: matches in whatever the pattern matches, in lower case. value: the group that is hidden."""

    kind: str
    hint: bytes
    pattern: re.Pattern[bytes]
    value: int = 0


# In the order in which a text that fits two of them is named. Patterns begin with what is rare, for speed.
_SHAPES: Final = (
    _Shape(
        "private_key",
        b"private key",
        re.compile(
            # A line's end may be written as JSON writes it, and as JSON in JSON does; no other escape is cut in two.
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
    # NAME=value and "name": "value" in files and answers, where the name says what it is.
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


# One look for all of them, which most texts end with: half the time that a search for each literal takes.
_HINT: Final = re.compile(b"|".join(shape.hint for shape in _SHAPES))
_BY_HINT: Final = tuple((re.compile(shape.hint), shape) for shape in _SHAPES)


class _Span(NamedTuple):
    start: int
    end: int
    kind: str


def found_in(content: bytes) -> tuple[Finding, ...]:
    """What a text holds, by kind; none for nearly every text. content: JSON or any other UTF-8."""
    return _counted(_spans(content))


def hidden_in(content: bytes) -> tuple[bytes, tuple[Finding, ...]]:
    """The text with `[hidden: KIND]` in place of every find, and what was found. JSON stays JSON."""
    spans = _spans(content)
    return _replaced(content, spans, lambda kind, _: HIDDEN % kind.encode()), _counted(spans)


def replaced_in(content: bytes, by: Callable[[str, bytes], bytes]) -> bytes:
    """The text with something else in place of every find. by: says what, of kind and find."""
    return _replaced(content, _spans(content), by)


def _replaced(content: bytes, spans: list[_Span], by: Callable[[str, bytes], bytes]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for span in spans:
        pieces += (content[at : span.start], by(span.kind, content[span.start : span.end]))
        at = span.end
    return b"".join((*pieces, content[at:])) if spans else content


def described(findings: tuple[Finding, ...]) -> str:
    """For people: `1 jose, 2 github`."""
    return ", ".join(f"{one.number} {one.kind}" for one in findings)


def _spans(content: bytes) -> list[_Span]:
    """What is to be hidden, from left to right, without overlaps: of two the one that begins first."""
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
    # The sort is stable, so of two that begin together the one that is named first stays.
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
