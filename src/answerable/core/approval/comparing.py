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
no answer to many covers; a pure function of how many have which value, whatever their order and whenever they came;
whoever is odd is told why. Source of the score: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).
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
    """How one leaf reads over all. odd: why, by value. longest: characters of the longest text."""

    reading: Reading
    odd: dict[Value, str]
    longest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a text is written. read: as it is read. passes: characters of it hide, or pass for others. amount: it is one.
    host: of an address. form: runs of digits and of letters as one each. goes: it says where something goes."""

    read: str
    passes: bool
    amount: float | None
    host: str | None
    form: str
    goes: bool


@dataclass(slots=True)
class Tally:
    """How many have which value at one place, and of texts how they are written, which is looked at once."""

    counts: dict[Value, int] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)

    def add(self, value: Value) -> None:
        """One more has it."""
        self.counts[value] = self.counts.get(value, 0) + 1

    def remove(self, value: Value) -> None:
        """One less has it."""
        self.counts[value] -= 1
        if not self.counts[value]:
            del self.counts[value]
            if isinstance(value, str):
                self.forms.pop(value, None)

    def over(self, size: int) -> Mapping[Value, int]:
        """As `counts`, with those of so many that have nothing here under `Nothing.ABSENT`."""
        absent = size - sum(self.counts.values())
        return {**self.counts, Nothing.ABSENT: absent} if absent else self.counts

    def form(self, text: str) -> Form:
        """How it is written."""
        found = self.forms.get(text)
        if found is None:
            found = self.forms[text] = _form_of(text)
        return found


def compared(tally: Tally, size: int) -> Column:
    """Read one place over so many approvals, three at least."""
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
    """A value as it may stand in a sentence or a cell, whole."""
    if isinstance(value, (Nothing, Truth)):
        return str(value.value)
    if isinstance(value, str):
        return value
    return encode(value).decode()


def _usual(counts: Mapping[Value, int], size: int) -> dict[Value, int] | None:
    """The values that so many have that nobody else is left but a few, those of most first; None where there are none
    such."""
    most = max(counts.values())
    if most >= size - 1:
        return {one: count for one, count in counts.items() if count == most}
    least = max(HOLDERS_MIN, -(-size // SHARE))
    usual = {one: counts[one] for one in sorted(_held_by(counts, least), key=lambda one: _rank(counts, one))}
    nearly_all = sum(usual.values()) * SHARE >= size * (SHARE - 1)
    first = min(_held_by(counts, most), key=lambda one: _rank(counts, one)) if most * 2 >= size else None
    # Of numbers the middle says more than what half of them are.
    is_half = most * 2 >= size and not _is_number(first)
    return (usual or {first: most}) if nearly_all or is_half else None


def _held_by(counts: Mapping[Value, int], least: int) -> list[Value]:
    return [one for one, count in counts.items() if count >= least]


def _rank(counts: Mapping[Value, int], value: Value) -> tuple[int, str, str]:
    """By how many have it; of as many by what it is, so that nobody's coming first decides."""
    return -counts[value], type(value).__name__, value_text(value)


def _is_each_its_own(counts: Mapping[Value, int], size: int) -> bool:
    """Whether nearly all are texts, and most are in one alone: of a few that come again and again the rare one matters,
    which no form tells."""
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
    """Numbers far from the middle, and what is no number."""
    low, high, middle = _reach(numbers)
    odd: dict[Value, str] = {
        one: f"{_cut(one)}, where the others have numbers" for one in counts if one not in numbers
    }
    for one in numbers:
        if not low <= one <= high:
            odd[one] = f"{one} is far from the others, whose middle is {middle:g}"
    return odd


def _reach(numbers: Mapping[float, int]) -> tuple[float, float, float]:
    """From where to where numbers are near the others, and the middle."""
    each = [*_each(numbers)]
    middle = median(each)
    spread = median([abs(one - middle) for one in each])
    return middle - SCORE_MAX * spread / _SCORE_SCALE, middle + SCORE_MAX * spread / _SCORE_SCALE, middle


def _each(numbers: Mapping[float, int]) -> Iterable[float]:
    if len(numbers) == sum(numbers.values()):
        return numbers
    return chain.from_iterable(repeat(one, count) for one, count in numbers.items())


def _unlike(counts: Mapping[Value, int], size: int, form_of: Callable[[str], Form]) -> dict[Value, str]:
    """Texts that differ in each: what is unlike the others all the same."""
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
    """Amounts that are written as text, where nearly all are."""
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
    """What few are, where nearly all are the same in this regard."""
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
