"""Tables of the search index.

Names from leaves are stored once in a file and referred to by number; values of sealed fields only as keyed digests.
There is no full-text index, because that would contain the words. A changed schema is another version: the index is
then made again.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 8
APPLICATION_ID: Final = 0x616E7378
"""`ansx`: distinguishes these files from other SQLite databases."""

COLUMNS: Final = (
    "agent",
    "instance",
    "mandate",
    "person",
    "use-case",
    "capability",
    "server",
    "target",
    "rule",
    "code",
    "approval",
    "outcome",
    "kind",
    "subject",
    "key",
)
"""Fields with a column, which has the first value; all further values are in `mention`."""
DIGESTS: Final = ("resource", "destination")
"""Fields from sealed content with a column, which has the digest of the first value; further ones are in `word`."""
INDEXED: Final = ("agent", "mandate", "person", "capability", "key")
"""Columns with an index in the order of answers."""
USUAL: Final = {"kind": (1, "intent"), "outcome": (2, "succeeded")}
"""Columns with such an index over the entries that have another value than the usual one, and its number and name."""
UNINDEXED: Final = frozenset({"server", "use-case", "rule", "subject", "target"})
"""Columns without an index: entries are read in the order of time instead. `used` has which names they have, so that
nothing is read for another name."""
RARE: Final = ("instance", "approval", "code", *DIGESTS)
"""Columns with such an index over the entries that have a value."""


def column_of(field: str) -> str:
    """Return the name of a field's column."""
    return field.replace("-", "_")


def unusual(field: str) -> str:
    """Return the condition under which a column of USUAL is in its index."""
    return f"{field} <> {USUAL[field][0]}"


def stretch_schema() -> tuple[str, ...]:
    """Return the statements that create the tables of one stretch of entries."""
    numbers = ", ".join(f"{column_of(one)} INTEGER" for one in COLUMNS)
    digests = ", ".join(f"{one} BLOB" for one in DIGESTS)
    return (
        "CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT",
        f"""CREATE TABLE action (
            entry INTEGER PRIMARY KEY, at INTEGER NOT NULL, ended INTEGER, id BLOB, leased INTEGER, amount INTEGER,
            {numbers}, {digests}
        ) STRICT""",
        "CREATE INDEX action_at ON action (at)",
        "CREATE INDEX action_id ON action (id) WHERE id IS NOT NULL",
        *(f"CREATE INDEX action_{one} ON action ({one}, at)" for one in map(column_of, INDEXED)),
        *(
            f"CREATE INDEX action_{one} ON action ({one}, at) WHERE {one} IS NOT NULL"
            for one in map(column_of, RARE)
        ),
        *(f"CREATE INDEX action_{one} ON action ({one}, at) WHERE {unusual(one)}" for one in USUAL),
        *(
            " ".join(("INSERT INTO name VALUES (", str(number), f", '{text}')"))
            for number, text in USUAL.values()
        ),
        "CREATE TABLE used (field INTEGER, name INTEGER, PRIMARY KEY (field, name)) STRICT, WITHOUT ROWID",
        "CREATE TABLE corrected (intent INTEGER, entry INTEGER, PRIMARY KEY (intent, entry)) STRICT, WITHOUT ROWID",
        """CREATE TABLE mention (
            field INTEGER, name INTEGER, at INTEGER, entry INTEGER, PRIMARY KEY (field, name, at, entry)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE session (
            value TEXT, kind TEXT, at INTEGER, entry INTEGER, PRIMARY KEY (value, kind, at, entry)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE word (
            word BLOB, at INTEGER, entry INTEGER, PRIMARY KEY (word, at, entry)
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE mark (mark BLOB NOT NULL) STRICT",
        "INSERT INTO mark VALUES (x'')",
    )


WHOLE_SCHEMA: Final = (
    """CREATE TABLE reached (
        origin TEXT NOT NULL, entries INTEGER NOT NULL, leaf TEXT NOT NULL, at INTEGER NOT NULL,
        happened INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, stretch INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE subject (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID",
    """CREATE TABLE pseudonym (
        name BLOB, pseudonym TEXT, subject TEXT, PRIMARY KEY (name, pseudonym, subject)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE approver (approval TEXT, person TEXT, PRIMARY KEY (approval, person)) STRICT, WITHOUT ROWID",
    "CREATE TABLE account (lease TEXT, account TEXT, PRIMARY KEY (lease, account)) STRICT, WITHOUT ROWID",
    "CREATE TABLE stretch (number INTEGER PRIMARY KEY, mark BLOB NOT NULL, next BLOB NOT NULL) STRICT",
    "CREATE TABLE giver (mandate TEXT PRIMARY KEY, entry INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
"""The tables about the whole index: its position, and what entries say of other entries."""
