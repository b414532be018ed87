"""Obligations: conditions that must be fulfilled for an allow to count; their syntax and how several combine.

Laws: the list is closed: an unknown obligation is refused; of several on the same subject the strictest holds, and
those that cannot hold together are a conflict; a text has one spelling and one meaning.

    redact:/pointer      the value there is replaced in the answer; `redact:/a,/b` is written as two
    mask:/pointer        likewise, but the last four characters stay
    rows_max:/pointer=N  at most N members of the list there; `rows_max:N` when the whole document is the list
    modify:argument<=N, modify:argument=value, modify:argument in [..]
                         the argument is narrowed, and the result is decided again
    notify:group         people of a group are notified
    witnessed            the intent is in a checkpoint that witnesses cosigned before anything is done
    log:full, log:digest how arguments and results are stored in the ledger

A pointer is a JSON Pointer (RFC 6901) in which `*` stands for every member of a list or object. One that ends with `?`
may point at nothing; without the `?`, a document that lacks the value is withheld.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.canonical import encode, parse
from answerable.errors import Malformed, shown
from answerable.errors.codes.policy import OBLIGATION_CONFLICT, OBLIGATION_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue

KINDS: Final = ("log", "mask", "modify", "notify", "redact", "rows_max", "witnessed")
_FORMS: Final = {
    "log": "`log:full` or `log:digest`",
    "mask": "`mask:/pointer,…`",
    "modify": "`modify:argument<=N`",
    "notify": "`notify:group`",
    "redact": "`redact:/pointer,…`",
    "rows_max": "`rows_max:/pointer=N`",
    "witnessed": "`witnessed` alone",
}

ANNOTATION_CHARS_MAX: Final = 1_000
OBLIGATIONS_MAX: Final = 64
"""Maximum for one policy, and for all policies that determine one decision."""
SEGMENTS_MAX: Final = 16
ROWS_MAX: Final = 1_000_000
CHOICES_MAX: Final = 64
ANY: Final = "*"

Narrower = Literal["at_most", "exactly", "one_of"]
Kept = Literal["", "full", "digest"]

# Split at the semicolons outside quoted text.
_PART: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+')
_POINTER: Final = re.compile(r'((?:/(?:[^\s/,;="?~]|~[01])+)+)(\?)?')
_ROWS: Final = re.compile(r"(?:([^\s,;=\"]*)=)?([1-9][0-9]{0,6}|0)")
_MODIFY: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})\s*(<=|=|\sin(?=[\s\[]))\s*(.+)", re.DOTALL)
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,4})?")
_GROUP: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in an answer. path: members from the root on. optional: the place may be absent."""

    path: tuple[str, ...]
    optional: bool = False

    @property
    def text(self) -> str:
        """The pointer, without the mark of an optional one."""
        return "".join("/" + one.replace("~", "~0").replace("/", "~1") for one in self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """A bound on an argument. bound: for `at_most` the number as written, else a JSON value."""

    argument: str
    how: Narrower
    bound: JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    """All obligations of a decision, combined. rows: maximum number of members of a list. log: empty
    for the default."""

    redact: tuple[Place, ...] = ()
    mask: tuple[Place, ...] = ()
    rows: tuple[tuple[Place, int], ...] = ()
    narrow: tuple[Narrowing, ...] = ()
    notify: tuple[str, ...] = ()
    witnessed: bool = False
    log: Kept = ""

    @property
    def about_answer(self) -> bool:
        """Whether the agent must not get the answer unchanged."""
        return bool(self.redact or self.mask or self.rows)


NO_DUTIES: Final = Duties()


def obligations_in(annotation: str) -> tuple[str, ...]:
    """Return the obligations in an annotation, each in its canonical spelling, in order and without repetition.

    Raises Malformed (`obligation.unknown`, `obligation.conflict`).
    """
    if len(annotation) > ANNOTATION_CHARS_MAX:
        raise OBLIGATION_UNKNOWN(
            f"obligations of {len(annotation)} characters, expected at most {ANNOTATION_CHARS_MAX}"
        )
    parts = [part.strip() for part in _PART.findall(annotation)]
    if _PART.sub("", annotation).strip(";") or not any(parts):
        raise OBLIGATION_UNKNOWN(
            f"{shown(annotation)} is not a list of obligations, or a quoted text in it does not end"
        )
    found = tuple(dict.fromkeys(text for part in parts if part for text in _spelt(part)))
    duties_of(found)
    return found


@lru_cache(maxsize=4_096)
def duties_of(obligations: tuple[str, ...]) -> Duties:
    """Combine the obligations of a decision.

    Raises Malformed: `obligation.unknown` for an unknown obligation or one not spelt as `obligations_in` does,
    `obligation.conflict` for those that cannot hold together.
    """
    if not obligations:
        return NO_DUTIES
    if len(obligations) > OBLIGATIONS_MAX:
        raise OBLIGATION_CONFLICT(
            f"{len(obligations)} obligations at once, expected at most {OBLIGATIONS_MAX}"
        )
    for text in obligations:
        if len(text) > ANNOTATION_CHARS_MAX or _spelt(text) != (text,):
            raise OBLIGATION_UNKNOWN(f"obligation {shown(text)} is not in its canonical spelling")
    of = {kind: [text.partition(":")[2] for text in obligations if kind_of(text) == kind] for kind in KINDS}
    if len(set(of["log"])) > 1:
        raise OBLIGATION_CONFLICT("one policy requires the full log, another one digests only")
    redact = _places(of["redact"])
    hidden = {place.path for place in redact}
    return Duties(
        redact=redact,
        mask=tuple(place for place in _places(of["mask"]) if place.path not in hidden),
        rows=_least_rows(of["rows_max"]),
        narrow=tuple(_narrowing(text) for text in sorted(set(of["modify"]))),
        notify=tuple(sorted(set(of["notify"]))),
        witnessed=bool(of["witnessed"]),
        log="digest" if "digest" in of["log"] else "full" if of["log"] else "",
    )


def kind_of(obligation: str) -> str:
    """Return the kind, the word before the colon."""
    return obligation.partition(":")[0]


def kinds_of(obligations: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds, each once, sorted by name."""
    return tuple(sorted({kind_of(one) for one in obligations}))


def _spelt(part: str) -> tuple[str, ...]:
    """Return the canonical texts of one obligation. Raises Malformed (`obligation.unknown`)."""
    kind, colon, rest = part.partition(":")
    kind, rest = kind.strip(), rest.strip()
    if kind in ("redact", "mask") and rest:
        return tuple(f"{kind}:{_pointer_text(one.strip())}" for one in rest.split(","))
    if kind == "rows_max":
        match = _ROWS.fullmatch(rest)
        if match is None or int(match[2]) > ROWS_MAX:
            raise OBLIGATION_UNKNOWN(f"{shown(part)}: use `rows_max:/pointer=N` with N of at most {ROWS_MAX}")
        pointer = f"{_pointer_text(match[1])}=" if match[1] is not None else ""
        return (f"rows_max:{pointer}{match[2]}",)
    if kind == "modify":
        return (_modify_text(part, rest),)
    if kind == "notify" and _GROUP.fullmatch(rest):
        return (f"notify:{rest}",)
    if kind == "witnessed" and not colon:
        return ("witnessed",)
    if kind == "log" and rest in ("full", "digest"):
        return (f"log:{rest}",)
    if kind in KINDS:
        raise OBLIGATION_UNKNOWN(f"obligation {shown(part)} is not complete: use {_FORMS[kind]}")
    raise OBLIGATION_UNKNOWN(f"obligation {shown(part)} is not known: there are {', '.join(KINDS)}")


def _pointer_text(text: str) -> str:
    if _POINTER.fullmatch(text) is None or text.count("/") > SEGMENTS_MAX:
        told = (
            f"{shown(text)} is not a JSON Pointer of at most {SEGMENTS_MAX} members, such as "
            "`/customer/email`"
        )
        if text.partition(":")[0].strip() in KINDS:
            told += "; put `;` before the next obligation"
        raise OBLIGATION_UNKNOWN(told)
    return text


def _modify_text(part: str, rest: str) -> str:
    match = _MODIFY.fullmatch(rest)
    if match is None:
        raise OBLIGATION_UNKNOWN(
            f"{shown(part)}: use `modify:argument<=N`, `modify:argument=value` or `… in [..]`"
        )
    argument, sign, value = match[1], match[2].strip(), match[3].strip()
    if sign == "<=":
        if NUMBER.fullmatch(value) is None:
            raise OBLIGATION_UNKNOWN(
                f"{shown(part)}: {shown(value)} is not a number of at most 15 digits and 4 decimal places"
            )
        return f"modify:{argument}<={value}"
    try:
        bound = parse(value.encode("utf-8", "replace"))
    except Malformed as fault:
        raise OBLIGATION_UNKNOWN(f"{shown(part)}: not a JSON value: {fault.message}") from None
    choices = bound if isinstance(bound, list) else [bound]
    if sign == "in" and not isinstance(bound, list):
        raise OBLIGATION_UNKNOWN(f"{shown(part)}: after `in` there is a list")
    if not 1 <= len(choices) <= CHOICES_MAX or not all(type(one) in (str, int, bool) for one in choices):
        raise OBLIGATION_UNKNOWN(
            f"{shown(part)}: use texts, whole numbers, true and false, 1 to {CHOICES_MAX} of them"
        )
    between = " in " if sign == "in" else "="
    return f"modify:{argument}{between}{encode(bound).decode()}"


def _narrowing(text: str) -> Narrowing:
    match = _MODIFY.fullmatch(text)
    assert match is not None  # noqa: S101 - `_spelt` has read it
    argument, sign, value = match[1], match[2].strip(), match[3]
    if sign == "<=":
        return Narrowing(argument=argument, how="at_most", bound=value)
    bound = parse(value.encode())
    return Narrowing(argument=argument, how="one_of" if sign == "in" else "exactly", bound=bound)


def _place(text: str) -> Place:
    pointer, optional = text.removesuffix("?"), text.endswith("?")
    path = tuple(one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:])
    return Place(path=path, optional=optional)


def _places(texts: Iterable[str]) -> tuple[Place, ...]:
    """Return each place once; required if any obligation requires it. The deepest come first, so that none hides
    another."""
    must: dict[tuple[str, ...], bool] = {}
    for place in map(_place, texts):
        must[place.path] = must.get(place.path, False) or not place.optional
    return tuple(
        Place(path=path, optional=not must[path])
        for path in sorted(must, key=lambda path: (-len(path), path))
    )


def _least_rows(texts: Iterable[str]) -> tuple[tuple[Place, int], ...]:
    least: dict[tuple[str, ...], int] = {}
    must: dict[tuple[str, ...], bool] = {}
    for text in texts:
        pointer, _, number = text.rpartition("=")
        place = _place(pointer)
        least[place.path] = min(least.get(place.path, ROWS_MAX), int(number))
        must[place.path] = must.get(place.path, False) or not place.optional
    return tuple((Place(path=path, optional=not must[path]), least[path]) for path in sorted(least))
