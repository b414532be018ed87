"""JSON text with holes, for what is encoded for each action and differs from one action to the next in a few places.

A form is cut out of a text that the ordinary encoder made of marks, one in each place that varies: only the encoder
says how an entry is written. Laws: a filled form equals, byte for byte, what the encoder makes of the same values;
where a mark is not in the text exactly once, as where somebody chose a name like it, there is no form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FORMS_MAX: Final = 16
"""Forms of one plan; further texts are encoded in the ordinary way."""
_UNSEEN: Final = object()


class TextForm:
    """A text with holes. made_for: all values that are written out in it; compare them before use."""

    __slots__ = ("_text", "made_for")

    def __init__(self, text: str, made_for: tuple[object, ...]) -> None:
        self._text, self.made_for = text, made_for

    def filled(self, *values: object) -> bytes:
        """Return the text with these values in its holes, in their order: JSON text, or integers."""
        return (self._text % values).encode()


def form_of(encoded: bytes, holes: Sequence[str], made_for: tuple[object, ...]) -> TextForm | None:
    """Cut a form out of an encoded text. holes: what to leave out, each as it is in the text, in this order. None where
    one of them is not there exactly once."""
    text = rest = encoded.decode()
    parts = []
    for hole in holes:
        before, found, rest = rest.partition(hole)
        if not found or text.count(hole) != 1:
            return None
        parts.append(before.replace("%", "%%"))
    return TextForm("%s".join((*parts, rest.replace("%", "%%"))), made_for)


class Forms:
    """The forms of one plan, by what they are for. A form is made when it is asked for the second time, since most
    plans serve one action only."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[object, TextForm | None] = {}

    def find(
        self, key: object, made_for: tuple[object, ...], make: Callable[[], TextForm | None]
    ) -> TextForm | None:
        """Return the form; None where the text is to be encoded. key: what it is for. made_for: what it has to have
        written out. make: makes it."""
        found = self._kept.get(key, _UNSEEN)
        if isinstance(found, TextForm):
            if found.made_for == made_for:
                return found
        elif found is _UNSEEN:
            if len(self._kept) < FORMS_MAX:
                self._kept[key] = None
            return None
        made = self._kept[key] = make()
        return made
