"""Common parsing of the four declaration lists of a PolicySet document: bounded, named, with closed vocabularies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.fields import nearest
from answerable.errors import shown
from answerable.errors.codes.documents import (
    DOCUMENT_CHOICE,
    DOCUMENT_DUPLICATE,
    DOCUMENT_PATTERN,
    DOCUMENT_SIZE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.registry.documents.fields import Fields, Option

PART_NAME_CHARS_MAX: Final = 63

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_CEDAR_WORDS: Final = frozenset({"else", "false", "has", "if", "in", "is", "like", "then", "true"})
"""Reserved words that Cedar does not accept after a dot."""


def parts_listed(spec: Fields, key: str, known: tuple[str, ...], most: int) -> list[Fields]:
    """Read the mappings of a list, skipping unreadable items; empty if there are too many."""
    found = spec.sections(key, known)
    if len(found) > most:
        spec.fault(f"expected at most {most} items, got {len(found)}", key, code=DOCUMENT_SIZE.id)
        return []
    return [one for one in found if one.readable]


def named_in(items: list[Fields], what: str) -> list[tuple[Fields, str]]:
    """Return each item with its name, which policies use; a duplicate name is a fault."""
    found: list[tuple[Fields, str]] = []
    taken: set[str] = set()
    for item in items:
        name = item.text("name", check=checked_part_name)
        if name in taken:
            item.fault(f"{what} {shown(name)} is declared twice", "name", code=DOCUMENT_DUPLICATE.id)
        elif name:
            taken.add(name)
        found.append((item, name))
    return found


def checked_part_name(text: str) -> None:
    """Check that policies can write the text after a dot. Raises Malformed (`document.pattern`)."""
    if text in _CEDAR_WORDS:
        message = f"{shown(text)} is a reserved word of Cedar, which cannot follow a dot: choose another name"
        raise DOCUMENT_PATTERN(message)
    if not _NAME.fullmatch(text):
        meant = _NOT_IN_NAMES.sub("_", text.lower()).strip("_")
        hint = f"; did you mean `{meant}`?" if _NAME.fullmatch(meant) and meant not in _CEDAR_WORDS else ""
        raise DOCUMENT_PATTERN(
            f"{shown(text)} is not a name for policies: expected a lower-case letter, then lower-case "
            f"letters, digits and `_`, at most {PART_NAME_CHARS_MAX} characters{hint}"
        )


def one_of(item: Fields, key: str, options: tuple[Option, ...]) -> Option | None:
    """Read a required option; None after a fault, so that nothing is derived from it."""
    text = item.text(key, check=known_word(options))
    return next((option for option in options if option == text), None)


def chosen_in(item: Fields, key: str, options: tuple[Option, ...]) -> tuple[Option, ...]:
    """Read a list of options, in the order in which they are written; an absent list is empty."""
    texts = item.texts(key, check=known_word(options))
    return tuple(option for text in texts for option in options if option == text)


def known_word(options: tuple[str, ...]) -> Callable[[str], None]:
    """Return a check that a text is exactly one of the options."""

    def check(text: str) -> None:
        if text not in options:
            hint = nearest(text[:PART_NAME_CHARS_MAX], options)
            raise DOCUMENT_CHOICE(f"{shown(text, PART_NAME_CHARS_MAX)} is not allowed here{hint}")

    return check
