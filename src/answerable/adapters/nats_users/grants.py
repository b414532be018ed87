"""Check the scope of a NATS lease and convert it to subjects and to the permissions of a user token.

Laws: every text of a scope is exactly one literal token of a subject, so an agent's value stays one token; a wildcard
is an object (`{"any": "token"}`, `{"any": "rest"}`), which no value can produce. Subjects of the server (`$…`) and
other clients' inboxes are never granted. What is not allowed is denied explicitly, because NATS allows what its
permissions do not mention.
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
"""One for answers, and a margin for how clients request them."""

_TOKEN: Final = re.compile(r"[^\s.*>\x00-\x1f\x7f]+")
_NOT_OURS: Final = ("$", "_INBOX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """Granted subjects, possibly with wildcards: for publishing, and for requests with an answer."""

    publish: tuple[str, ...]
    request: tuple[str, ...]

    def permissions(self, inbox: str) -> dict[str, JSONValue]:
        """Return the permission members of a user's claims. inbox: subject prefix of the user's answers."""
        subjects: list[JSONValue] = [*sorted({*self.publish, *self.request})]
        answers: list[JSONValue] = [f"{inbox}.>"]
        everything: list[JSONValue] = [">"]
        return {
            "pub": {"allow": subjects},
            "sub": {"allow": answers} if self.request else {"deny": everything},
            "subs": SUBSCRIPTIONS_MAX,
        }


def checked_grants(scope: Scope) -> tuple[Grants | None, tuple[str, ...]]:
    """Return the grants of a scope, or None and the faults, which say what to write."""
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
    """Whether a message may be sent to the subject: no wildcards, no subject of the server, no inbox."""
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
    """Return the subject, or what is wrong with it."""
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
