"""Read a JSON mapping field by field, and record every fault instead of stopping at the first.

Laws: an unknown field is a fault; a value of the wrong type is never converted; a fault names its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import (
    DOCUMENT_CHOICE,
    DOCUMENT_DUPLICATE,
    DOCUMENT_EMPTY,
    DOCUMENT_MISSING,
    DOCUMENT_PATTERN,
    DOCUMENT_RANGE,
    DOCUMENT_SIZE,
    DOCUMENT_TYPE,
    DOCUMENT_UNKNOWN_KEY,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue

TEXT_CHARS_MAX: Final = 500
ITEMS_MAX: Final = 1000

_KEY_CHARS_SHOWN: Final = 60

FaultKind = Literal["shape", "reference"]
Option = TypeVar("Option", bound=str)
Value = TypeVar("Value", str, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault in a set of documents.

    document: index in the sequence given. path: JSON pointer (RFC 6901) inside it. kind: `shape` if the document is not
    valid for its kind, `reference` if something that it refers to is missing or does not fit.
    """

    document: int
    path: str
    code: str
    message: str
    kind: FaultKind = "shape"


def pointer(path: str, name: str | int) -> str:
    """Extend a JSON pointer by one step."""
    return f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}"


def nearest(word: str, known: tuple[str, ...]) -> str:
    """Return `; did you mean ...?` if one of the known words is similar, otherwise a list of the known words."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        folded = {name.lower(): name for name in known}
        close = [folded[word.lower()]] if word.lower() in folded else []
    return f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known) or 'nothing'}"


def near(word: str, known: tuple[str, ...]) -> str:
    """Return `; did you mean ...?` or nothing, where the whole list would be too long to help."""
    hint = nearest(word, known)
    return hint if hint.startswith("; did") else ""


def type_name(value: JSONValue) -> str:
    """Return the type of a JSON value in the words of a document's author."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "a mapping"


class Fields:
    """One mapping of one document. After a fault, a reader returns a harmless placeholder value."""

    __slots__ = ("_document", "_faults", "_silent", "_values", "path")

    def __init__(
        self, value: JSONValue, *, known: tuple[str, ...], document: int, path: str, faults: list[Fault]
    ) -> None:
        self._document = document
        self._faults = faults
        self.path = path
        self._values: Mapping[str, JSONValue] = {}
        # If the mapping itself is faulty, do not also report each of its fields as missing.
        self._silent = not isinstance(value, dict)
        if not isinstance(value, dict):
            self.fault(f"expected a mapping, got {type_name(value)}", code=DOCUMENT_TYPE.id)
            return
        self._values = value
        for key in value:
            if key not in known:
                cut = key[:_KEY_CHARS_SHOWN]
                self.fault(
                    f"unknown key {shown(key, _KEY_CHARS_SHOWN)}{nearest(cut, known)}",
                    key,
                    code=DOCUMENT_UNKNOWN_KEY.id,
                )

    def fault(self, message: str, *at: str | int, code: str) -> None:
        """Record a fault at this mapping, or below it at `at`."""
        path = self.path
        for step in at:
            path = pointer(path, step)
        self._faults.append(Fault(document=self._document, path=path, code=code, message=message))

    def has(self, name: str) -> bool:
        """Whether the field is present."""
        return name in self._values

    def text(
        self,
        name: str,
        *,
        default: str | None = None,
        chars_max: int = TEXT_CHARS_MAX,
        check: Callable[[str], object] | None = None,
    ) -> str:
        """Read text of 1 to `chars_max` characters. Without a default the field is required. check: may raise
        Malformed."""
        if name not in self._values:
            return self._absent(name, default, "")
        value = self._values[name]
        if not isinstance(value, str):
            hint = "; quote it to make it text" if isinstance(value, bool | int | float) else ""
            hint = "; write exactly one" if isinstance(value, list) else hint
            self.fault(f"expected text, got {type_name(value)}{hint}", name, code=DOCUMENT_TYPE.id)
            return ""
        return value if self._text_fits(value, chars_max, check, name) else ""

    def integer(self, name: str, *, minimum: int, maximum: int, default: int | None = None) -> int:
        """Read an integer in the closed range."""
        if name not in self._values:
            return self._absent(name, default, minimum)
        value = self._values[name]
        if type(value) is not int:
            got = f"text {shown(value)}" if isinstance(value, str) else type_name(value)
            self.fault(f"expected an integer, got {got}", name, code=DOCUMENT_TYPE.id)
            return minimum
        if not minimum <= value <= maximum:
            self.fault(f"expected {minimum} to {maximum}, got {value}", name, code=DOCUMENT_RANGE.id)
            return minimum
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Read a boolean."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            self.fault(f"expected true or false, got {type_name(value)}", name, code=DOCUMENT_TYPE.id)
            return default
        return value

    def choice(self, name: str, options: tuple[Option, ...], *, default: Option | None = None) -> Option:
        """Read one of the options, exactly as written."""
        if name not in self._values:
            if default is None:
                self._absent(name, None, "")
            return options[0] if default is None else default
        value = self._values[name]
        for option in options:
            if value == option:
                return option
        got = shown(value, _KEY_CHARS_SHOWN) if isinstance(value, str) else type_name(value)
        hint = nearest(value, options) if isinstance(value, str) else f"; known here: {', '.join(options)}"
        self.fault(f"{got} is not allowed here{hint}", name, code=DOCUMENT_CHOICE.id)
        return options[0]

    @property
    def readable(self) -> bool:
        """Whether the value is a mapping; if not, that is already recorded as the only fault."""
        return not self._silent

    def count(self, name: str) -> int | None:
        """Return the number of items of a list, or None if there is no list."""
        value = self._values.get(name)
        return len(value) if isinstance(value, list) else None

    def items(self, name: str) -> tuple[JSONValue, ...]:
        """Read the items of a list; an absent list is empty."""
        value = self._values.get(name, [])
        if not isinstance(value, list):
            self.fault(f"expected a list, got {type_name(value)}", name, code=DOCUMENT_TYPE.id)
            return ()
        if len(value) > ITEMS_MAX:
            self.fault(f"expected at most {ITEMS_MAX} items, got {len(value)}", name, code=DOCUMENT_SIZE.id)
            return ()
        return tuple(value)

    def texts(
        self,
        name: str,
        *,
        check: Callable[[str], object] | None = None,
        unique: bool = True,
        empty: bool = False,
    ) -> tuple[str, ...]:
        """Read a list of texts. unique: no two are equal. empty: the empty text is allowed."""
        found: list[str] = []
        for index, item in enumerate(self.items(name)):
            if not isinstance(item, str):
                self.fault(f"expected text, got {type_name(item)}", name, index, code=DOCUMENT_TYPE.id)
            elif unique and item in found:
                self.fault(f"{shown(item)} is listed twice", name, index, code=DOCUMENT_DUPLICATE.id)
            elif (empty and not item) or self._text_fits(item, TEXT_CHARS_MAX, check, name, index):
                found.append(item)
        return tuple(found)

    def pairs(self, name: str) -> tuple[tuple[str, JSONValue], ...]:
        """Read the members of a mapping with arbitrary keys, sorted by key."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            self.fault(f"expected a mapping, got {type_name(value)}", name, code=DOCUMENT_TYPE.id)
            return ()
        if len(value) > ITEMS_MAX:
            self.fault(f"expected at most {ITEMS_MAX} members, got {len(value)}", name, code=DOCUMENT_SIZE.id)
            return ()
        return tuple(sorted(value.items()))

    def section(self, name: str, known: tuple[str, ...], *, needed: bool = True) -> Fields:
        """Read a nested mapping. If it is absent it is empty, and a fault if it is needed."""
        below = self._below(self._values.get(name, {}), known, name)
        if name not in self._values and needed:
            self._absent(name, None, "")
            below._silent = True
        return below

    def sections(self, name: str, known: tuple[str, ...]) -> list[Fields]:
        """Read a list of mappings."""
        return [self._below(item, known, name, index) for index, item in enumerate(self.items(name))]

    def _below(self, value: JSONValue, known: tuple[str, ...], *at: str | int) -> Fields:
        path = self.path
        for step in at:
            path = pointer(path, step)
        return Fields(value, known=known, document=self._document, path=path, faults=self._faults)

    def _absent(self, name: str, default: Value | None, deputy_validity: Value) -> Value:
        if default is not None:
            return default
        if not self._silent:
            self.fault(f"`{name}` is missing", code=DOCUMENT_MISSING.id)
        return deputy_validity

    def _text_fits(
        self, value: str, chars_max: int, check: Callable[[str], object] | None, *at: str | int
    ) -> bool:
        if not value:
            self.fault("expected text, got an empty one", *at, code=DOCUMENT_EMPTY.id)
            return False
        if len(value) > chars_max:
            self.fault(
                f"expected at most {chars_max} characters, got {len(value)}", *at, code=DOCUMENT_SIZE.id
            )
            return False
        if check is not None:
            try:
                check(value)
            except Malformed as error:
                self.fault(error.message, *at, code=error.code)
                return False
        return True


def checked_pattern(text: str) -> None:
    """Check that the text is a regular expression. Raises Malformed (`document.pattern`)."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise DOCUMENT_PATTERN(f"{shown(text)} is not a regular expression: {error}") from None


def matching(pattern: re.Pattern[str], what: str) -> Callable[[str], None]:
    """Return a check that a text matches the pattern. what: description for the error message."""

    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise DOCUMENT_PATTERN(f"{shown(text)} is not {what}")

    return check
