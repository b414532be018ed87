"""Declare a setting: its default, its description, its unit and its bounds."""

from __future__ import annotations

from dataclasses import field
from typing import Final

REFERENCES: Final = "list of NAME and secret reference"


def about(says: str, *, unit: str) -> dict[str, object]:
    """Return the metadata of a setting, for those that no function below fits."""
    return {"says": says, "unit": unit}


def number(default: int, says: str, *, unit: str, minimum: int, maximum: int) -> int:
    """Declare a whole number."""
    metadata = {"says": says, "unit": unit, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=metadata)


def seconds(default: float, says: str, *, minimum: float, maximum: float) -> float:
    """Declare a duration."""
    metadata = {"says": says, "unit": "seconds", "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=metadata)


def flag(default: bool, says: str) -> bool:
    """Declare a boolean."""
    return field(default=default, metadata=about(says, unit="true or false"))


def text(default: str, says: str, *, unit: str = "text") -> str:
    """Declare a text."""
    return field(default=default, metadata=about(says, unit=unit))


def reference(says: str) -> str:
    """Declare a reference to a secret; empty by default."""
    return text("", says, unit="secret reference")


def references(says: str) -> tuple[str, ...]:
    """Declare named references to secrets, each `NAME REFERENCE`; none by default."""
    return field(default=(), metadata=about(says, unit=REFERENCES))


def texts(default: tuple[str, ...], says: str) -> tuple[str, ...]:
    """Declare a list of texts."""
    return field(default=default, metadata=about(says, unit="list of texts"))


def references_in(value: object, unit: str | None) -> tuple[str, ...]:
    """Return the references to secrets in a setting of this unit; none for other kinds of settings."""
    if unit == REFERENCES and isinstance(value, tuple):
        return tuple(line.partition(" ")[2] for line in value)
    return (value,) if unit == "secret reference" and value and isinstance(value, str) else ()
