"""Find and replace `{name}` placeholders in the texts of a mandate template.

Laws: replacement is one pass, so a value that looks like a placeholder stays text; every brace belongs to a
placeholder.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.registry import TEMPLATE_PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def placeholders_in(text: str) -> tuple[str, ...]:
    """Return the names in order of appearance. Raises Malformed (`template.placeholder`) for a stray brace."""
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        raise TEMPLATE_PLACEHOLDER(f"{shown(text)} has a brace that is not a placeholder like `{{name}}`")
    return tuple(_PLACEHOLDER.findall(text))


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Replace every placeholder in the text. Raises KeyError for a name without a value; callers check first."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)
