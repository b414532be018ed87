"""How one setting is declared: its default, its sentence, its unit and its bounds."""

from __future__ import annotations

from dataclasses import field
from typing import Final

REFERENCES: Final = "list of NAME and secret reference"


def about(says: str, *, unit: str) -> dict[str, object]:
    """What the reference says of a setting; for those that no maker below fits."""
    return {"says": says, "unit": unit}


def number(default: int, says: str, *, unit: str, minimum: int, maximum: int) -> int:
    """A whole number."""
    metadata = {"says": says, "unit": unit, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=metadata)


def seconds(default: float, says: str, *, minimum: float, maximum: float) -> float:
    """A length of time."""
    metadata = {"says": says, "unit": "seconds", "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=metadata)


def flag(default: bool, says: str) -> bool:
    """True or false."""
    return field(default=default, metadata=about(says, unit="true or false"))


def text(default: str, says: str, *, unit: str = "text") -> str:
    """Any text."""
    return field(default=default, metadata=about(says, unit=unit))


def reference(says: str) -> str:
    """Where a secret is; empty by default."""
    return text("", says, unit="secret reference")


def references(says: str) -> tuple[str, ...]:
    """For each of several where its secret is, `NAME REFERENCE`; none by default."""
    return field(default=(), metadata=about(says, unit=REFERENCES))


def texts(default: tuple[str, ...], says: str) -> tuple[str, ...]:
    """A list."""
    return field(default=default, metadata=about(says, unit="list of texts"))


def references_in(value: object, unit: str | None) -> tuple[str, ...]:
    """Where the secrets of a setting of this unit are; none for a setting of another kind."""
    if unit == REFERENCES and isinstance(value, tuple):
        return tuple(line.partition(" ")[2] for line in value)
    return (value,) if unit == "secret reference" and value and isinstance(value, str) else ()
