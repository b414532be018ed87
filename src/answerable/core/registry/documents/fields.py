"""Reading one JSON mapping field by field, noting every fault on the way instead of stopping at the first.

Laws: what is not known is a fault; a value of the wrong type is never converted; a fault names its place.
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
    """One thing wrong with a set of documents.

    document: index in the sequence given. path: JSON pointer (RFC 6901) inside it. kind: `shape` when the document
    cannot be read as what it says it is, `reference` when what it points at is missing or does not fit.
    """

    document: int
    path: str
    code: str
    message: str
    kind: FaultKind = "shape"


def pointer(path: str, name: str | int) -> str:
    """A JSON pointer one step further."""
    return f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}"


def nearest(word: str, known: tuple[str, ...]) -> str:
    """`; did you mean ...?` when one of the known words is close, otherwise the known words."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        folded = {name.lower(): name for name in known}
        close = [folded[word.lower()]] if word.lower() in folded else []
    return f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known) or 'nothing'}"


def near(word: str, known: tuple[str, ...]) -> str:
    """`; did you mean ...?` or nothing, where the whole list would be too long to help."""
    hint = nearest(word, known)
    return hint if hint.startswith("; did") else ""


def type_name(value: JSONValue) -> str:
    """What a JSON value is, in the words of a document's author."""
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
    """One mapping of one document. Readers return the value, or a harmless stand-in after noting a fault."""

    __slots__ = ("_document", "_faults", "_silent", "_values", "path")

    def __init__(
        self, value: JSONValue, *, known: tuple[str, ...], document: int, path: str, faults: list[Fault]
    ) -> None:
        self._document = document
        self._faults = faults
        self.path = path
        self._values: Mapping[str, JSONValue] = {}
        # Where the whole mapping is at fault, its fields are not also reported as missing, one by one.
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
        """Note a fault at this mapping, or below it at `at`."""
        path = self.path
        for step in at:
            path = pointer(path, step)
        self._faults.append(Fault(document=self._document, path=path, code=code, message=message))

    def has(self, name: str) -> bool:
        """Whether the field was written at all."""
        return name in self._values

    def text(
        self,
        name: str,
        *,
        default: str | None = None,
        chars_max: int = TEXT_CHARS_MAX,
        check: Callable[[str], object] | None = None,
    ) -> str:
        """Text of 1 to `chars_max` characters. `check` may raise Malformed; without a default the field is needed."""
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
        """An integer in the closed range."""
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
        """True or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            self.fault(f"expected true or false, got {type_name(value)}", name, code=DOCUMENT_TYPE.id)
            return default
        return value

    def choice(self, name: str, options: tuple[Option, ...], *, default: Option | None = None) -> Option:
        """One of the options, exactly as written."""
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
        """Whether there is a mapping at all; where there is none, that is the one fault to tell."""
        return not self._silent

    def count(self, name: str) -> int | None:
        """How many items a list has as it is written; None where there is no list."""
        value = self._values.get(name)
        return len(value) if isinstance(value, list) else None

    def items(self, name: str) -> tuple[JSONValue, ...]:
        """The items of a list; an absent list is empty."""
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
        """A list of texts, no two alike when `unique`; `empty` lets the empty text in."""
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
        """The members of a mapping whose keys are free, sorted by key."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            self.fault(f"expected a mapping, got {type_name(value)}", name, code=DOCUMENT_TYPE.id)
            return ()
        if len(value) > ITEMS_MAX:
            self.fault(f"expected at most {ITEMS_MAX} members, got {len(value)}", name, code=DOCUMENT_SIZE.id)
            return ()
        return tuple(sorted(value.items()))

    def section(self, name: str, known: tuple[str, ...], *, needed: bool = True) -> Fields:
        """A mapping one level down; absent is empty, and a fault when it is needed."""
        below = self._below(self._values.get(name, {}), known, name)
        if name not in self._values and needed:
            self._absent(name, None, "")
            below._silent = True
        return below

    def sections(self, name: str, known: tuple[str, ...]) -> list[Fields]:
        """A list of mappings."""
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
    """Raises Malformed (`document.pattern`) unless the text is a regular expression."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise DOCUMENT_PATTERN(f"{shown(text)} is not a regular expression: {error}") from None


def matching(pattern: re.Pattern[str], what: str) -> Callable[[str], None]:
    """A check that a text is `what`."""

    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise DOCUMENT_PATTERN(f"{shown(text)} is not {what}")

    return check
