"""Compare one leaf over many similar approvals: whether it is equal, varies by nature, or is an outlier in a few.

| reading  | where                                                                                        |
|----------|----------------------------------------------------------------------------------------------|
| `same`   | one value; any other value is odd                                                            |
| `several`| few values, each in a fifth of them or more, or one in half; any other value is odd.          |
|          | Also used for mixed types, and for values that repeat but fit none of the other readings     |
| `number` | numbers; odd is what is far from the median: modified z-score above 3.5                       |
| `text`   | each its own; odd is a text of another form, with hidden characters, that looks like another  |
|          | value, or an amount in digits far from the median where the others are amounts                |

Laws: adding values of other types, or many equal ones, makes no other value less odd except under `several`, which no
batch answer covers; a pure function of the number of approvals per value, independent of order and time; every outlier
has a reason. Source of the score: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, repeat
from statistics import median
from typing import TYPE_CHECKING, Final, Literal, TypeGuard

from answerable.core.approval.features import FORM_CHARS, Nothing, Truth, Value, goes_somewhere
from answerable.core.approval.visible import hides_something, visible
from answerable.core.canonical import encode
from answerable.core.registry.documents.look_alike import disguised, skeleton
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

Reading = Literal["same", "several", "number", "text"]
SHARE: Final = 5
"""The smallest share of a value that is not odd is one in this many; the odd ones may be at most one in this many."""
HOLDERS_MIN: Final = 3
"""Minimum number of holders of a value that is not odd among several."""
SCORE_MAX: Final = 3.5
_SCORE_SCALE: Final = 0.6745
"""Scales the median deviation of a normal distribution to its standard deviation."""
_SHOWN_CHARS: Final = 60
_LONGER: Final = 4
"""A text longer than about this many times the median length is odd."""

_DIGITS: Final = re.compile(r"[0-9]+")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_AMOUNT: Final = re.compile(
    r"(-?)(?:[A-Z]{3} |[A-Z]{3}(?=[0-9])|[$€£¥] ?)?(-?)(?!0[0-9])"
    r"([0-9]{1,3}(?:[ ,.'\u2019][0-9]{3})+|[0-9]{1,15})(?:[.,]([0-9]{1,4}))?"
    r"(?: ?[A-Z]{3}| ?[$€£¥%])?"
)
"""A number as people write it, with its currency; sign, whole part and fraction. `INV-0100` is not matched."""
_HOST: Final = re.compile(r"(?:^[^@\s/]+@|^[a-z][a-z0-9+.-]*://(?:[^@/\s]*@)?)([^/:\s?#]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The comparison of one leaf. odd: reason, by value. longest: characters of the longest text."""

    reading: Reading
    odd: dict[Value, str]
    longest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form of a text. read: its look-alike skeleton. passes: it has hidden or look-alike characters. amount: its
    value, if it is an amount. host: of an address. form: runs of digits and of letters replaced by one character each.
    goes: it has the form of a destination."""

    read: str
    passes: bool
    amount: float | None
    host: str | None
    form: str
    goes: bool


@dataclass(slots=True)
class Tally:
    """Number of approvals per value at one place, and the form of each text, computed once."""

    counts: dict[Value, int] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)

    def add(self, value: Value) -> None:
        """Count one more approval with this value."""
        self.counts[value] = self.counts.get(value, 0) + 1

    def remove(self, value: Value) -> None:
        """Count one approval less with this value."""
        self.counts[value] -= 1
        if not self.counts[value]:
            del self.counts[value]
            if isinstance(value, str):
                self.forms.pop(value, None)

    def over(self, size: int) -> Mapping[Value, int]:
        """Return `counts`, with the approvals (of `size`) that have no value under `Nothing.ABSENT`."""
        absent = size - sum(self.counts.values())
        return {**self.counts, Nothing.ABSENT: absent} if absent else self.counts

    def form(self, text: str) -> Form:
        """Return the form of a text."""
        found = self.forms.get(text)
        if found is None:
            found = self.forms[text] = _form_of(text)
        return found


def compared(tally: Tally, size: int) -> Column:
    """Compare one place over this many approvals, at least three."""
    counts = tally.over(size)
    if len(counts) == 1:
        return Column(reading="same", odd={}, longest=_longest(counts))
    usual = _usual(counts, size)
    if usual is not None and len(usual) == 1:
        return Column(reading="same", odd=_others(counts, usual), longest=_longest(counts))
    numbers: dict[float, int] = {one: count for one, count in counts.items() if _is_number(one)}
    if sum(numbers.values()) * SHARE >= size * (SHARE - 1):
        return Column(reading="number", odd=_far(counts, numbers))
    if usual is not None:
        return Column(reading="several", odd=_others(counts, usual), longest=_longest(counts))
    text: Reading = "text" if _is_each_its_own(counts, size) else "several"
    return Column(reading=text, odd=_unlike(counts, size, tally.form), longest=_longest(counts))


def value_text(value: Value) -> str:
    """Return a value as text for a sentence or a cell, uncut."""
    if isinstance(value, (Nothing, Truth)):
        return str(value.value)
    if isinstance(value, str):
        return value
    return encode(value).decode()


def _usual(counts: Mapping[Value, int], size: int) -> dict[Value, int] | None:
    """Return the values so common that only a few approvals have others, the most common first; None where there are
    none."""
    most = max(counts.values())
    if most >= size - 1:
        return {one: count for one, count in counts.items() if count == most}
    least = max(HOLDERS_MIN, -(-size // SHARE))
    usual = {one: counts[one] for one in sorted(_held_by(counts, least), key=lambda one: _rank(counts, one))}
    nearly_all = sum(usual.values()) * SHARE >= size * (SHARE - 1)
    first = min(_held_by(counts, most), key=lambda one: _rank(counts, one)) if most * 2 >= size else None
    # For numbers the median says more than a value that half of them share.
    is_half = most * 2 >= size and not _is_number(first)
    return (usual or {first: most}) if nearly_all or is_half else None


def _held_by(counts: Mapping[Value, int], least: int) -> list[Value]:
    return [one for one, count in counts.items() if count >= least]


def _rank(counts: Mapping[Value, int], value: Value) -> tuple[int, str, str]:
    """Sort by count; then by type and text, so that the order of arrival does not matter."""
    return -counts[value], type(value).__name__, value_text(value)


def _is_each_its_own(counts: Mapping[Value, int], size: int) -> bool:
    """Whether nearly all values are texts that mostly occur once: among a few repeated texts the rare one matters,
    which its form does not show."""
    texts = [count for one, count in counts.items() if isinstance(one, str)]
    return sum(texts) * SHARE >= size * (SHARE - 1) and len(texts) * 2 > sum(texts)


def _others(counts: Mapping[Value, int], usual: dict[Value, int]) -> dict[Value, str]:
    read = {skeleton(one[:FORM_CHARS]): one for one in reversed(usual) if isinstance(one, str)}
    theirs = _cut(next(iter(usual))) if len(usual) == 1 else f"one of {len(usual)} others"
    odd: dict[Value, str] = {}
    for value in counts:
        if value in usual:
            continue
        like = read.get(skeleton(value[:FORM_CHARS])) if isinstance(value, str) else None
        odd[value] = (
            f"{_cut(value)}, where the others have {theirs}"
            if like is None
            else f"{_cut(value)} looks like {_cut(like)} and is not"
        )
    return odd


def _far(counts: Mapping[Value, int], numbers: Mapping[float, int]) -> dict[Value, str]:
    """Return numbers far from the median, and values that are no numbers."""
    low, high, middle = _reach(numbers)
    odd: dict[Value, str] = {
        one: f"{_cut(one)}, where the others have numbers" for one in counts if one not in numbers
    }
    for one in numbers:
        if not low <= one <= high:
            odd[one] = f"{one} is far from the others, whose middle is {middle:g}"
    return odd


def _reach(numbers: Mapping[float, int]) -> tuple[float, float, float]:
    """Return the lower and upper limit of numbers near the median, and the median."""
    each = [*_each(numbers)]
    middle = median(each)
    spread = median([abs(one - middle) for one in each])
    return middle - SCORE_MAX * spread / _SCORE_SCALE, middle + SCORE_MAX * spread / _SCORE_SCALE, middle


def _each(numbers: Mapping[float, int]) -> Iterable[float]:
    if len(numbers) == sum(numbers.values()):
        return numbers
    return chain.from_iterable(repeat(one, count) for one, count in numbers.items())


def _unlike(counts: Mapping[Value, int], size: int, form_of: Callable[[str], Form]) -> dict[Value, str]:
    """Return the outliers among texts that differ in each approval."""
    odd: dict[Value, str] = {}
    forms = {one: form_of(one) for one in counts if isinstance(one, str)}
    lengths: dict[float, int] = {len(one): 0 for one in forms}
    for one in forms:
        lengths[len(one)] += counts[one]
    reach = _LONGER * median(_each(lengths)) + FORM_CHARS // 4 if forms else 0
    read = Counter(form.read for form in {one[:FORM_CHARS]: form for one, form in forms.items()}.values())
    for one, form in forms.items():
        if form.passes:
            odd[one] = f"{_cut(one)} has characters that pass for others"
        elif read[form.read] > 1:
            odd[one] = f"{_cut(one)} looks like another one's and is not"
        elif len(one) > reach:
            odd[one] = f"{len(one)} characters, much longer than the others"
    _far_amounts(counts, size, forms, odd)
    _rare(counts, size, _kind, "is of another kind than the others", odd)
    _rare(counts, size, lambda one: _of(forms, one, "host"), "is of another domain than the others", odd)
    _rare(counts, size, lambda one: _of(forms, one, "form"), "is written otherwise than the others", odd)
    return odd


def _far_amounts(
    counts: Mapping[Value, int], size: int, forms: Mapping[str, Form], odd: dict[Value, str]
) -> None:
    """Add amounts written as text that are far from the median, where nearly all texts are amounts."""
    amounts = {one: form.amount for one, form in forms.items() if form.amount is not None}
    if sum(counts[one] for one in amounts) * SHARE < size * (SHARE - 1):
        return
    numbers: dict[float, int] = {}
    for one, amount in amounts.items():
        numbers[amount] = numbers.get(amount, 0) + counts[one]
    low, high, middle = _reach(numbers)
    for one, amount in amounts.items():
        if not low <= amount <= high:
            odd.setdefault(one, f"{_cut(one)} is far from the others, whose middle is {middle:g}")


def _rare(
    counts: Mapping[Value, int],
    size: int,
    read: Callable[[Value], Hashable],
    why: str,
    odd: dict[Value, str],
) -> None:
    """Add values that differ in this respect, where nearly all are equal."""
    kinds: dict[Hashable, int] = {}
    for value, count in counts.items():
        kind = read(value)
        kinds[kind] = kinds.get(kind, 0) + count
    first = max(kinds, key=lambda one: kinds[one])
    if first is None or kinds[first] * SHARE < size * (SHARE - 1):
        return
    if len(kinds) > 1:
        for value in counts:
            if read(value) != first:
                odd.setdefault(value, f"{_cut(value)} {why}")


def _form_of(text: str) -> Form:
    begins = text[:FORM_CHARS]
    host = _HOST.match(begins)
    return Form(
        read=skeleton(begins),
        passes=hides_something(begins) or bool(disguised(begins)),
        amount=_amount_in(text),
        host=host[1].casefold() if host else None,
        form=_LETTERS.sub("a", _DIGITS.sub("9", begins)),
        goes=goes_somewhere(begins),
    )


def _amount_in(text: str) -> float | None:
    found = _AMOUNT.fullmatch(text) if len(text) <= FORM_CHARS else None
    if found is None:
        return None
    digits = "".join(char for char in found[3] if char.isdigit())
    amount = float(f"{digits}.{found[4] or 0}")
    return -amount if found[1] or found[2] else amount


def _kind(value: Value) -> str:
    return value.name if isinstance(value, Nothing) else type(value).__name__


def _of(forms: Mapping[str, Form], value: Value, name: Literal["host", "form"]) -> str | None:
    form = forms.get(value) if isinstance(value, str) else None
    if form is None:
        return None
    return form.host if name == "host" else form.form


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, (int, float))


def _longest(counts: Mapping[Value, int]) -> int:
    return max((len(one) for one in counts if isinstance(one, str)), default=0)


def _cut(value: Value) -> str:
    return shown(visible(value_text(value)[:FORM_CHARS]), _SHOWN_CHARS)
