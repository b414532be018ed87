"""Know whether the files of an index belong together, also after a process was killed: by a mark in each stretch.

Every change of a stretch gives it another mark, in the same transaction. A mark is random: a stretch of another index,
another stretch of this one and an older copy have other marks, and a new file has none. The file about the whole has
the next mark before the stretch is written, and the one that is there with the position that the change leads to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from answerable.adapters.sqlite.search_index.stretch import Stretch


def prepare(whole: sqlite3.Connection, stretches: Mapping[int, Stretch]) -> None:
    """Give each stretch the mark of its next changes. In a transaction of the whole that is over before them."""
    for number, stretch in stretches.items():
        row = (number, stretch.mark())
        ((stretch.next_mark,),) = whole.execute(
            "INSERT OR REPLACE INTO stretch VALUES (?, ?, randomblob(16)) RETURNING next", row
        ).fetchall()


def note(whole: sqlite3.Connection, stretches: Mapping[int, Stretch]) -> None:
    """Note the marks that the stretches have. In a transaction of the whole, after their changes."""
    marks = [(stretch.mark(), number) for number, stretch in stretches.items()]
    whole.executemany("UPDATE stretch SET mark = ? WHERE number = ?", marks)


def are_as_noted(whole: sqlite3.Connection, stretches: Mapping[int, Stretch], covered: int) -> bool:
    """Whether these stretches, which are all that have a file, are as they were left.

    covered: number of the stretches that the position covers. One that it does not cover may be new: what was written
    there will be written again.
    """
    noted = {number: marks for number, *marks in whole.execute("SELECT number, mark, next FROM stretch")}
    needed = {number for number, (mark, _) in noted.items() if mark}
    return needed.issuperset(range(covered)) and all(
        stretches[number].mark() in noted.get(number, [b""]) if number in stretches else False
        for number in needed.union(stretches)
    )
