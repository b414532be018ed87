"""Filter an upstream's lists to the entries that the caller's mandate could allow, by exact name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from answerable.core.registry.snapshot.resolve import template_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Collection

    from answerable.core.canonical import JSONValue

LISTS: Final = {
    "tools/list": ("tools", "tools/call", "name"),
    "prompts/list": ("prompts", "prompts/get", "name"),
    "resources/list": ("resources", "resources/read", "uri"),
    "resources/templates/list": ("resourceTemplates", "resources/read", "uriTemplate"),
}
"""By list method: the member that holds the entries, the method that uses them, the member that names them."""

PATTERNS_KEPT_MAX: Final = 4096


def filtered(
    method: str, entries: list[dict[str, JSONValue]], pairs: Collection[tuple[str, str]]
) -> list[dict[str, JSONValue]]:
    """Return the entries whose use some pair could allow. A URI template is listed only if a capability has the same
    one."""
    _, use, key = LISTS[method]
    if method == "resources/templates/list":
        return [entry for entry in entries if (use, entry.get(key)) in pairs]
    return [
        entry for entry in entries if isinstance(name := entry.get(key), str) and allows(pairs, use, name)
    ]


def allows(pairs: Collection[tuple[str, str]], use: str, target: str) -> bool:
    """Whether some pair covers this target: by exact name, or by a URI template of the same method."""
    if (use, target) in pairs and "{" not in target:
        return True
    return any(
        method == use and "{" in template and _pattern(template).fullmatch(target) is not None
        for method, template in pairs
    )


@lru_cache(maxsize=PATTERNS_KEPT_MAX)
def _pattern(template: str) -> re.Pattern[str]:
    return template_pattern(template)
