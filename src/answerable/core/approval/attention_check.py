"""Attention checks (canaries): test approvals with one detail made wrong, which show who reads what they approve.

Until it is answered or has expired, a test looks like any other approval to those who may answer; the ledger has a
**commitment** from the moment it is requested: SHA-256 of `answerable-canary/1`, a zero byte, 32 random bytes, the
approval's id, a zero byte, what was made wrong, a zero byte and the argument that it was made wrong in. While tests are
configured, every approval has such a digest; that of a real one is random, so that nobody can open it and call it a
test afterwards. The opening of a test's commitment is revealed with its end.

Laws: a test never runs, whatever people answer: no register finds it for an action; it is a copy of one real action
that people were asked about, with one argument changed.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.registry.documents.budget_name import AMOUNT_MAX
from answerable.errors.codes.approval import APPROVAL_CANARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability

Wrong = Literal["recipient", "amount"]
WRONGS: Final[tuple[Wrong, ...]] = get_args(Wrong)
CanaryEnd = Literal["caught", "let_through", "unseen"]
CANARY_ENDS: Final[tuple[CanaryEnd, ...]] = get_args(CanaryEnd)
DOMAIN: Final = b"answerable-canary/1\0"
NONCE_BYTES: Final = 32
TIMES: Final = 10
"""Factor by which a wrong amount is increased."""
_DIGITS: Final = re.compile(r"[0-9]{2,}")
_LETTERS: Final = re.compile(r"[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCheck:
    """A test approval with one detail made wrong. nonce: 32 bytes. wrong: what differs from the request; argument: in
    which argument, by the name that policy uses. ended: empty until the end is revealed."""

    nonce: bytes
    wrong: Wrong
    argument: str
    ended: CanaryEnd | Literal[""] = ""

    @property
    def sentence(self) -> str:
        """The description for people after the end; empty before."""
        if not self.ended:
            return ""
        odd = f"{_WRONG[self.wrong]} in `{self.argument}`"
        return f"this was a test, and nothing runs by it: {odd}; {_END[self.ended]}"


_WRONG: Final = {
    "recipient": "it went to somebody else than what the agent had asked for",
    "amount": f"it was of {TIMES} times what the agent had asked for",
}
_END: Final = {
    "caught": "it was caught",
    "let_through": "it was let through",
    "unseen": "nobody answered it in time",
}


def commitment(approval: str, nonce: bytes, wrong: str, argument: str) -> str:
    """Return the commitment, hex. Raises Malformed (`approval.canary`) for a nonce of another length."""
    if len(nonce) != NONCE_BYTES:
        raise APPROVAL_CANARY(f"a canary has a nonce of {NONCE_BYTES} bytes")
    said = b"\0".join(one.encode() for one in (approval, wrong, argument))
    return sha256(DOMAIN + nonce + said).hexdigest()


def opens(committed: str, approval: str, nonce: bytes, wrong: str, argument: str) -> bool:
    """Whether these values open the commitment. Raises Malformed as `commitment`."""
    return hmac.compare_digest(committed.encode(), commitment(approval, nonce, wrong, argument).encode())


def made_wrong(
    capability: Capability, arguments: Mapping[str, JSONValue]
) -> Iterator[tuple[Wrong, str, JSONValue]]:
    """Yield what can be made wrong in an action: the kind, the argument, and its wrong value. arguments: by the names
    that policy uses. Yields nothing where no argument states a destination or an amount."""
    for name in capability.destination.arguments:
        changed = _other_recipient(arguments.get(name))
        if changed is not None:
            yield "recipient", name, changed
    amount = capability.spending.amount
    named = [amount.argument] if amount is not None and amount.argument else []
    named += [one.name for one in capability.arguments if one.type == "minor_units" and one.name not in named]
    for name in named:
        value = arguments.get(name)
        if type(value) is int and 0 < value <= AMOUNT_MAX // TIMES:
            yield "amount", name, value * TIMES


def _other_recipient(value: JSONValue) -> JSONValue:
    """Return another recipient of similar appearance; of a list the first is changed. None for a value that is no
    recipient."""
    if isinstance(value, list) and value:
        first = _other_recipient(value[0])
        return None if first is None else [first, *value[1:]]
    if not isinstance(value, str):
        return None
    local, at, domain = value.rpartition("@")
    if not at:
        return _look_alike(value)
    name, dot, rest = domain.partition(".")
    changed = _look_alike(name)
    return None if changed is None else f"{local}@{changed}{dot}{rest}"


def _look_alike(text: str) -> str | None:
    """Change two digits in the last number, or double a letter in the longest word."""
    numbers = list(_DIGITS.finditer(text))
    if numbers:
        last = numbers[-1]
        turned = "".join(str((int(digit) + 3) % 10) for digit in last[0][-2:])
        return f"{text[: last.end() - 2]}{turned}{text[last.end() :]}"
    words = sorted(_LETTERS.finditer(text), key=lambda one: one.end() - one.start())
    if not words:
        return None
    middle = (words[-1].start() + words[-1].end()) // 2
    return f"{text[:middle]}{text[middle - 1]}{text[middle:]}"
