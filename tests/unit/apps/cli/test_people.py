"""What a person's invitation looks like in a terminal."""

from __future__ import annotations

import segno

from answerable.apps.cli.people import qr_code

URL = "https://answerable.example/enrol#c29tZXRoaW5nIHNlY3JldA"
LIGHT = {"\u2588": (0, 0), "\u2580": (0, 1), "\u2584": (1, 0), " ": (1, 1)}


def test_the_code_in_the_terminal_is_the_whole_address_and_nothing_else() -> None:
    read: list[list[int]] = []
    for line in qr_code(URL).splitlines():
        pairs = [LIGHT[drawn] for drawn in line]
        read += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    expected = [list(row) for row in segno.make(URL, error="m", micro=False).matrix_iter(border=4)]
    assert read[: len(expected)] == expected
    # What is left fills the last line.
    assert len(read) - len(expected) <= 1
