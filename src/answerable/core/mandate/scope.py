"""Scopes: capability names, either one name or a wildcard for all names under a prefix (Agent Delegation Chain -02,
section 4.1).

| form     | example      | covers                                     |
|----------|--------------|--------------------------------------------|
| literal  | `crm.refund` | itself                                     |
| wildcard | `crm.*`      | literals and wildcards that begin `crm.`   |
| opaque   | `User.Read`  | itself; no wildcard covers it              |

Laws: a scope's form follows from its characters alone; nothing is folded; `covers` is an order.
"""

from __future__ import annotations

import re
from typing import Final

from answerable.errors import shown
from answerable.errors.codes.mandate import DELEGATION_MALFORMED

SCOPE_CHARS_MAX: Final = 256

_LITERAL: Final = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)+")
_WILDCARD: Final = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)*\.\*")
# RFC 6749, appendix A.4, without the star.
_OPAQUE: Final = re.compile(r"[!#-)+-\[\]-~]+")


def checked_scope(text: str) -> str:
    """Return the scope if it has one of the three forms. Raises Malformed (`delegation.malformed`)."""
    if len(text) <= SCOPE_CHARS_MAX and any(form.fullmatch(text) for form in (_LITERAL, _WILDCARD, _OPAQUE)):
        return text
    raise DELEGATION_MALFORMED(
        f"{shown(text, 60)} is not a scope: name one capability, or all below a name such as `crm.*`"
    )


def is_wildcard(scope: str) -> bool:
    """Whether the scope is a wildcard."""
    return _WILDCARD.fullmatch(scope) is not None


def covers(held: str, asked: str) -> bool:
    """Whether `held` covers every name that `asked` covers. Both must have passed `checked_scope`."""
    if held == asked:
        return True
    inside = _LITERAL.fullmatch(asked) or _WILDCARD.fullmatch(asked)
    return inside is not None and is_wildcard(held) and asked.startswith(held.removesuffix("*"))
