"""What a line says of the content of an action, compared with what is recorded of it.

Laws: what either side lacks is not compared, and told with why; a difference is told by the name of the field and by
numbers, never by the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


Field = Literal["bucket", "key", "method", "path", "recipients", "rows", "statement"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)
COMPARED: Final[Mapping[str, tuple[Field, ...]]] = {
    "postgres": ("statement", "rows"),
    "mariadb": ("statement",),
    "journald": ("recipients",),
    "redis": ("key",),
    "nginx": ("method", "path"),
    "cloudtrail": ("bucket", "key"),
    "ocsf": ("method", "path", "recipients"),
}
"""What both the log of a kind and the record of an action may have."""
_ENDS: Final = frozenset(
    ("COMMIT", "ROLLBACK", "START TRANSACTION READ ONLY", "START TRANSACTION READ WRITE")
)
"""Statements that the broker sends with each action. A log that has one has every statement of its step."""
WHOLE, SAME, CUT = 1, 2, 4
"""What the statements of a step in a log are known to be: all of them are there; the recorded one is; one of them is
cut."""


class Said(NamedTuple):
    """What a line says of one field. how: `all` values; `some` of them; at least so many (`count`), in one text; the
    value may go on (`begin`); `cut`: it is not known."""

    field: Field
    values: tuple[str, ...]
    how: Literal["all", "some", "count", "begin", "cut"] = "all"


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """What is recorded of the content of one action. missing: why nothing is known of it; empty where it is."""

    values: dict[Field, tuple[str, ...]] = {}
    missing: str = ""


class Compared(NamedTuple):
    """differs: fields with the difference, in words. same: fields that agree. lacking: fields that the record does not
    have, with why. statements: what is known now of the statements of the step."""

    differs: tuple[tuple[Field, str], ...] = ()
    same: tuple[Field, ...] = ()
    lacking: tuple[tuple[Field, str], ...] = ()
    statements: int = 0


def compared(content: Iterable[Said], recorded: Recorded) -> Compared:
    """Compare what one line says with what is recorded. A statement is never a difference here: it is one of several,
    of which the recorded one must be among them (`statement_differs`)."""
    found = {said.field: said for said in content}
    differs, same, lacking, statements = list[tuple[Field, str]](), list[Field](), [], 0
    for field, said in found.items():
        known = recorded.values.get(field)
        if known is None:
            lacking.append((field, recorded.missing or "the record of this action has none"))
        elif field == "statement":
            statements = _statement(said, known[0])
        elif (
            field == "rows"
            and not _statement(found.get("statement", said), _one(recorded, "statement")) & SAME
        ):
            continue
        elif difference := _difference(said, known):
            differs.append((field, f"{field}: {difference}"))
        else:
            same.append(field)
    return Compared(tuple(differs), tuple(same), tuple(lacking), statements)


def statement_differs(statements: int) -> bool:
    """Whether a log that has every statement of a step has not the recorded one."""
    return statements == WHOLE


STATEMENT_DIFFERS: Final = "statement: the log has every statement of this action, and not the recorded one"


def _one(recorded: Recorded, field: Field) -> str:
    return "".join(recorded.values.get(field, ())[:1])


def _statement(said: Said, recorded: str) -> int:
    if said.how == "cut" or said.field != "statement":
        return CUT
    is_begin, known = said.how == "begin", plain_text(recorded)
    # A text that is cut may end within a character.
    text = plain_text(said.values[0].rstrip("\ufffd") if is_begin else said.values[0])
    if is_begin and not text:
        return CUT
    if text == known or (is_begin and known.startswith(text)):
        return SAME
    return WHOLE if text in _ENDS else 0


def plain_text(text: str) -> str:
    """Return a statement with one space for each white space: logs write the end of a line in several ways."""
    return " ".join(text.split())


def _difference(said: Said, recorded: tuple[str, ...]) -> str:
    """Return in what they differ; empty where they agree."""
    if said.field == "path":
        # The record begins below the address of the server that the broker was given.
        return "" if said.values[0].endswith(recorded[0]) else "another one than is recorded"
    known, told = (
        (one.casefold() for one in values) if said.field == "recipients" else values
        for values in (recorded, said.values)
    )
    ours, theirs = frozenset(known), frozenset(told)
    if said.how == "count":
        count = int(said.values[0])
        return f"{len(ours)} by our record, {count} by the log" if count > len(ours) else ""
    if said.how == "some":
        return "one that is not recorded" if theirs - ours else ""
    if ours == theirs:
        return ""
    if len(ours) == len(theirs) and said.field != "rows":
        return "another one than is recorded" if len(ours) == 1 else "others than are recorded"
    if said.field == "rows":
        return f"{recorded[0]} by our record, {said.values[0]} by the log"
    return f"{len(ours)} by our record, {len(theirs)} by the log"
