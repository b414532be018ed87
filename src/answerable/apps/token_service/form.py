"""Parse OAuth request bodies, `application/x-www-form-urlencoded`, strictly.

RFC 6749, section 3.2: a parameter occurs at most once, and an empty one counts as absent. `resource` may be repeated
(RFC 8707, section 2); more than one is refused where it is used, because a token is for one resource.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from answerable.errors import shown
from answerable.errors.codes.tokens import OAUTH_INVALID_REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 32
_REPEATED: Final = frozenset({"resource", "audience"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A parsed form. values: parameters that occur once. resources: every `resource` and `audience`, in order."""

    values: Mapping[str, str]
    resources: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """Return the value, empty if absent."""
        return self.values.get(name, "")

    def required(self, name: str) -> str:
        """Return a required value. Raises Malformed (`oauth.invalid_request`)."""
        value = self.values.get(name, "")
        if not value:
            raise OAUTH_INVALID_REQUEST(f"parameter `{name}` is missing")
        return value


def form_of(body: bytes, media_type: str) -> Form:
    """Parse a body. Raises Malformed (`oauth.invalid_request`): not a form, not UTF-8, a repeated parameter, or too
    many."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        raise OAUTH_INVALID_REQUEST(f"expected a body of type `{MEDIA_TYPE}`, got {shown(kind)}")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except UnicodeError:
        raise OAUTH_INVALID_REQUEST("the body is not ASCII, or what it escapes is not UTF-8") from None
    except ValueError:
        raise OAUTH_INVALID_REQUEST(f"the body is not a form of at most {FIELDS_MAX} parameters") from None
    values: dict[str, str] = {}
    resources: list[str] = []
    for name, value in pairs:
        if not value:
            continue
        if name in _REPEATED:
            resources.append(value)
            continue
        if name in values:
            raise OAUTH_INVALID_REQUEST(f"parameter {shown(name)} is given twice")
        values[name] = value
    return Form(values=values, resources=tuple(resources))
