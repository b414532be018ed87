"""What a lease may do on NATS: from a scope to checked subjects, and from these to the permissions of a user.

Laws: every text of a scope is one token of a subject, literally, so that a value that came from an agent stays one
token; what is open is an object (`{"any": "token"}`, `{"any": "rest"}`), which no value can make. Subjects of the
server's own and inboxes of others are never granted. What is not allowed is denied in words, for NATS takes silence
for leave.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

TOKEN_CHARS_MAX: Final = 128
TOKENS_MAX: Final = 16
SUBJECTS_MAX: Final = 64
SUBSCRIPTIONS_MAX: Final = 4
"""The one for answers, and a little room for how a client asks for it."""

_TOKEN: Final = re.compile(r"[^\s.*>\x00-\x1f\x7f]+")
_NOT_OURS: Final = ("$", "_INBOX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """Subjects, perhaps with wildcards, that may be published on, and that answers may be asked on."""

    publish: tuple[str, ...]
    request: tuple[str, ...]

    def permissions(self, inbox: str) -> dict[str, JSONValue]:
        """Members of a user's claims. inbox: where its answers go."""
        subjects: list[JSONValue] = [*sorted({*self.publish, *self.request})]
        answers: list[JSONValue] = [f"{inbox}.>"]
        everything: list[JSONValue] = [">"]
        return {
            "pub": {"allow": subjects},
            "sub": {"allow": answers} if self.request else {"deny": everything},
            "subs": SUBSCRIPTIONS_MAX,
        }


def checked_grants(scope: Scope) -> tuple[Grants | None, tuple[str, ...]]:
    """The grants of a scope, or none and why not, in words that say what to write."""
    given = scope.thaw()
    if not isinstance(given, dict):
        return None, ("grants of NATS are an object with `publish`, `request` or both",)
    faults = [f"{shown(name, 40)} is not known" for name in sorted(given.keys() - {"publish", "request"})]
    publish = tuple(_subjects(given.get("publish", []), "publish", faults))
    request = tuple(_subjects(given.get("request", []), "request", faults))
    if not faults and not publish and not request:
        faults.append("grants need a subject in `publish` or `request`")
    return (None, tuple(faults)) if faults else (Grants(publish=publish, request=request), ())


def is_plain_subject(subject: str) -> bool:
    """Whether a message can be sent there: tokens without wildcards, and no subject of the server's or of an inbox."""
    tokens = subject.split(".")
    return (
        len(tokens) <= TOKENS_MAX
        and all(len(token) <= TOKEN_CHARS_MAX and _TOKEN.fullmatch(token) for token in tokens)
        and not subject.startswith(_NOT_OURS)
    )


def _subjects(given: JSONValue, where: str, faults: list[str]) -> Iterator[str]:
    if not isinstance(given, list) or len(given) > SUBJECTS_MAX:
        faults.append(f"`{where}` is a list of at most {SUBJECTS_MAX} subjects")
        return
    for number, one in enumerate(given):
        subject, fault = _subject(one)
        if fault:
            faults.append(f"`{where}[{number}]` {fault}")
        else:
            yield subject


def _subject(given: JSONValue) -> tuple[str, str]:
    """The subject, or what is wrong with it."""
    if not isinstance(given, list) or not 1 <= len(given) <= TOKENS_MAX:
        return "", f"is a list of 1 to {TOKENS_MAX} tokens, such as `case`, `7`, `closed`"
    tokens = []
    for place, one in enumerate(given):
        if isinstance(one, str):
            if len(one) > TOKEN_CHARS_MAX or not _TOKEN.fullmatch(one):
                return "", (
                    f"has the token {shown(one, 40)}: 1 to {TOKEN_CHARS_MAX} characters without dots, spaces, `*`, "
                    "`>` and control characters"
                )
            tokens.append(one)
        elif one == {"any": "token"} and place:
            tokens.append("*")
        elif one == {"any": "rest"} and place and place == len(given) - 1:
            tokens.append(">")
        else:
            return "", (
                f"has at {place} what is neither a token nor, behind the first, `any` of `token` or, at the end, "
                "of `rest`"
            )
    if tokens[0].startswith(_NOT_OURS):
        return "", "is a subject of the server's own, or an inbox"
    return ".".join(tokens), ""
