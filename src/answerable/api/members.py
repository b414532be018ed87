"""Types of members, and the two kinds of objects: those with a name in the OpenAPI document, and parts of others.

Formats, patterns and bounds are for the document only: a client reads an answer without checking them. Tests check
every answer against the document.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")

Count: TypeAlias = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Instant: TypeAlias = Annotated[
    str, Meta(description="RFC 3339, UTC, milliseconds", extra_json_schema={"format": "date-time"})
]
Digest: TypeAlias = Annotated[
    str, Meta(description="SHA-256, hexadecimal", extra_json_schema={"pattern": "^[0-9a-f]{64}$"})
]
Anchor: TypeAlias = Annotated[
    str,
    Meta(
        description="integrity anchor (Mission-Bound Authorization)",
        extra_json_schema={"pattern": "^sha-256:[A-Za-z0-9_-]{43}$"},
    ),
]
SignedText: TypeAlias = Annotated[str, Meta(description="JWS, compact serialisation")]
Texts: TypeAlias = tuple[str, ...]
AnyObject: TypeAlias = dict[str, Any]
"""An object whose members something else than this API decides: who reads it must expect any."""
Document: TypeAlias = Annotated[
    dict[str, Any], Meta(description="a registry document: apiVersion, kind, metadata, spec")
]


class Component(Struct, frozen=True, kw_only=True):
    """An object with a name of its own in the OpenAPI document: the name of its class. Members are encoded in the order
    in which they are declared."""


class Part(Struct, frozen=True, kw_only=True):
    """An object that the OpenAPI document describes inside of those that contain it."""


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list. next: cursor of the following page, None on the last one."""

    items: tuple[T, ...]
    next: str | None


class Nothing(Component, frozen=True, kw_only=True):
    """An object without members."""


class Token(Component, frozen=True, kw_only=True):
    """A signed statement."""

    token: SignedText


def words(*options: str) -> Meta:
    """The words that a text is one of, for the document: a client takes any other word, too."""
    return Meta(extra_json_schema={"enum": [*options]})
