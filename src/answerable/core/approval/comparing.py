"""One leaf of many approvals that are alike otherwise: whether it is the same, differs by nature, or is odd in a few.

| reading  | where                                                                                        |
|----------|----------------------------------------------------------------------------------------------|
| `same`   | one value; whoever has another one is odd                                                    |
| `several`| few values, of a fifth of them or more each, or one of half; whoever has another one is odd.  |
|          | So reads also what is of several kinds, or is the same in many and is none of the others here |
| `number` | numbers; odd is what is far from the middle: modified z-score above 3.5                       |
| `text`   | each its own; odd is what is of another form, hides something, passes for another's value, or |
|          | is an amount in digits that is far from the middle where the others are amounts               |

Laws: who adds values of other kinds, or many of some, makes no value of the others less odd but under `several`, which
no answer to many covers; a pure function of the values and their order; whoever is odd is told why. Source of the
score: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final, Literal, TypeGuard

from answerable.core.approval.features import FORM_CHARS, Nothing, Value
from answerable.core.approval.visible import hides_something, visible
from answerable.core.canonical import encode
from answerable.core.registry.look_alike import disguised, skeleton
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

Reading = Literal["same", "several", "number", "text"]
SHARE: Final = 5
"""One of so many is the least share of a value that is not odd; odd ones may be one of so many at most."""
HOLDERS_MIN: Final = 3
"""Of a value that is not odd among several."""
SCORE_MAX: Final = 3.5
_SCORE_SCALE: Final = 0.6745
"""Makes the median deviation of a normal distribution its standard deviation."""
_SHOWN_CHARS: Final = 60
_LONGER: Final = 4
"""Times the middle length, and some, is much longer than the others."""

_DIGITS: Final = re.compile(r"[0-9]+")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_AMOUNT: Final = re.compile(
    r"(-?)(?:[A-Z]{3} |[A-Z]{3}(?=[0-9])|[$€£¥] ?)?(-?)(?!0[0-9])"
    r"([0-9]{1,3}(?:[ ,.'\u2019][0-9]{3})+|[0-9]{1,15})(?:[.,]([0-9]{1,4}))?"
    r"(?: ?[A-Z]{3}| ?[$€£¥%])?"
)
"""A number as people write it, with its currency; sign, whole part and fraction. `INV-0100` is none."""
_HOST: Final = re.compile(r"(?:^[^@\s/]+@|^[a-z][a-z0-9+.-]*://(?:[^@/\s]*@)?)([^/:\s?#]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one leaf reads over all. odd: why, by place in the list. longest: characters of the longest text."""

    reading: Reading
    odd: dict[int, str]
    longest: int = 0


def compared(values: Sequence[Value]) -> Column:
    """Read one leaf of at least three approvals; `Nothing.ABSENT` where one has none."""
    known = [_known(one) for one in values]
    usual = _usual(known)
    numbers = sum(_is_number(one) for one in values) * SHARE >= len(values) * (SHARE - 1)
    if usual is not None and (len(usual) == 1 or not numbers):
        reading: Reading = "same" if len(usual) == 1 else "several"
        odd = {at: _other(values[at], usual) for at, one in enumerate(known) if one not in usual}
        return Column(reading=reading, odd=odd, longest=_longest(values))
    if numbers:
        return Column(reading="number", odd=_far(values))
    text: Reading = "text" if _is_each_its_own(values) else "several"
    return Column(reading=text, odd=_unlike(values), longest=_longest(values))


def value_text(value: Value) -> str:
    """A value as it may stand in a sentence or a cell, whole."""
    if isinstance(value, Nothing):
        return value.value
    if isinstance(value, str):
        return value
    return encode(value).decode()


def _usual(known: Sequence[tuple[type, Value]]) -> dict[tuple[type, Value], int] | None:
    """The values that so many have that nobody else is left but a few; None where there are none such."""
    counts, size = Counter(known), len(known)
    (first, most), *_ = counts.most_common(1)
    if most >= size - 1:
        return {first: most}
    least = max(HOLDERS_MIN, -(-size // SHARE))
    usual = {one: count for one, count in counts.items() if count >= least}
    nearly_all = sum(usual.values()) * SHARE >= size * (SHARE - 1)
    # Of numbers the middle says more than what half of them are.
    is_half = most * 2 >= size and first[0] not in (int, float)
    return usual or {first: most} if nearly_all or is_half else None


def _is_each_its_own(values: Sequence[Value]) -> bool:
    """Whether nearly all are texts, and most are in one alone: of a few that come again and again the rare one matters,
    which no form tells."""
    texts = [one for one in values if isinstance(one, str)]
    return len(texts) * SHARE >= len(values) * (SHARE - 1) and len(set(texts)) * 2 > len(texts)


def _other(value: Value, usual: dict[tuple[type, Value], int]) -> str:
    most = max(usual, key=lambda one: usual[one])[1]
    if isinstance(value, str):
        read = skeleton(value[:FORM_CHARS])
        for _, one in usual:
            if isinstance(one, str) and skeleton(one[:FORM_CHARS]) == read:
                return f"{_cut(value)} looks like {_cut(one)} and is not"
    theirs = _cut(most) if len(usual) == 1 else f"one of {len(usual)} others"
    return f"{_cut(value)}, where the others have {theirs}"


def _far(values: Sequence[Value]) -> dict[int, str]:
    """Numbers far from the middle, and what is no number."""
    low, high, middle = _reach([one for one in values if _is_number(one)])
    odd: dict[int, str] = {}
    for at, one in enumerate(values):
        if not _is_number(one):
            odd[at] = f"{_cut(one)}, where the others have numbers"
        elif not low <= one <= high:
            odd[at] = f"{one} is far from the others, whose middle is {middle:g}"
    return odd


def _reach(numbers: Sequence[float]) -> tuple[float, float, float]:
    """From where to where numbers are near the others, and the middle."""
    middle = median(numbers)
    spread = median(abs(one - middle) for one in numbers)
    return middle - SCORE_MAX * spread / _SCORE_SCALE, middle + SCORE_MAX * spread / _SCORE_SCALE, middle


def _unlike(values: Sequence[Value]) -> dict[int, str]:
    """Texts that differ in each: what is unlike the others all the same."""
    odd: dict[int, str] = {}
    texts = {at: one for at, one in enumerate(values) if isinstance(one, str)}
    reach = _LONGER * median(len(one) for one in texts.values()) + FORM_CHARS // 4 if texts else 0
    read: dict[str, set[str]] = {}
    for one in texts.values():
        read.setdefault(skeleton(one[:FORM_CHARS]), set()).add(one[:FORM_CHARS])
    for at, one in texts.items():
        if hides_something(one[:FORM_CHARS]) or disguised(one[:FORM_CHARS]):
            odd[at] = f"{_cut(one)} has characters that pass for others"
        elif len(read[skeleton(one[:FORM_CHARS])]) > 1:
            odd[at] = f"{_cut(one)} looks like another one's and is not"
        elif len(one) > reach:
            odd[at] = f"{len(one)} characters, much longer than the others"
    _far_amounts(values, odd)
    _rare(values, _kind, "is of another kind than the others", odd)
    _rare(values, _host, "is of another domain than the others", odd)
    _rare(values, _form, "is written otherwise than the others", odd)
    return odd


def _far_amounts(values: Sequence[Value], odd: dict[int, str]) -> None:
    """Amounts that are written as text, where nearly all are."""
    amounts = {at: amount for at, one in enumerate(values) if (amount := _amount_in(one)) is not None}
    if len(amounts) * SHARE < len(values) * (SHARE - 1):
        return
    low, high, middle = _reach([*amounts.values()])
    for at, amount in amounts.items():
        if not low <= amount <= high:
            odd.setdefault(at, f"{_cut(values[at])} is far from the others, whose middle is {middle:g}")


def _amount_in(value: Value) -> float | None:
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) and len(value) <= FORM_CHARS else None
    if found is None:
        return None
    digits = "".join(char for char in found[3] if char.isdigit())
    amount = float(f"{digits}.{found[4] or 0}")
    return -amount if found[1] or found[2] else amount


def _rare(values: Sequence[Value], read: Callable[[Value], Hashable], why: str, odd: dict[int, str]) -> None:
    """What few are, where nearly all are the same in this regard."""
    kinds = [read(one) for one in values]
    counts = Counter(kinds)
    (first, most), *_ = counts.most_common(1)
    if first is None or most * SHARE < len(values) * (SHARE - 1):
        return
    for at, kind in enumerate(kinds):
        if kind != first:
            odd.setdefault(at, f"{_cut(values[at])} {why}")


def _kind(value: Value) -> str:
    return value.name if isinstance(value, Nothing) else type(value).__name__


def _host(value: Value) -> str | None:
    found = _HOST.match(value[:FORM_CHARS]) if isinstance(value, str) else None
    return found[1].casefold() if found else None


def _form(value: Value) -> str | None:
    """Runs of digits and of letters as one each, all else as it is."""
    if not isinstance(value, str):
        return None
    return _LETTERS.sub("a", _DIGITS.sub("9", value[:FORM_CHARS]))


def _known(value: Value) -> tuple[type, Value]:
    """True is not 1."""
    return type(value), value


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _longest(values: Sequence[Value]) -> int:
    return max((len(one) for one in values if isinstance(one, str)), default=0)


def _cut(value: Value) -> str:
    return shown(visible(value_text(value)[:FORM_CHARS]), _SHOWN_CHARS)
