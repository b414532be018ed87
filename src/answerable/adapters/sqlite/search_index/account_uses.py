"""Count the actions of one stretch of entries by the account that they used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.search_index.conditions import NUMBERS, Condition
from answerable.core.lease.name import ACCOUNT_PREFIX, NAME_CHARS
from answerable.core.ledger.tags import Tag
from answerable.core.search.accounts import AccountUse
from answerable.core.search.facts import OF_LEASE, kind_of, kinds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Number = Callable[[str, str], int | None]

_OF_LEASE: Final = (
    f"length(n.text) = {len(ACCOUNT_PREFIX) + NAME_CHARS} AND n.text GLOB '{ACCOUNT_PREFIX}[a-z2-7]*'"
)
_COLUMNS: Final = ("target", "shared", "of_action", "agent", "person")
_TEXT: Final = "coalesce((SELECT text FROM name WHERE id = {}), '')"


def counting_accounts(target: str, name: str, number: Number) -> Condition | None:
    """Return the query that counts actions by account; None where nothing can match. target, name: those alone; empty
    for any."""
    conditions = [f"m.field = {NUMBERS['account']}"]
    kinds = [one for kind in kinds_of(OF_LEASE) if (one := number("kind", kind)) is not None]
    values: list[object] = [*kinds]
    conditions.append(f"a.kind IN ({', '.join('?' * len(kinds))})")
    for column, field, text in (("a.target", "target", target), ("m.name", "account", name)):
        if text:
            found = number(field, text)
            if found is None:
                return None
            conditions.append(f"{column} = ?")
            values.append(found)
    inner = " ".join(
        (
            f"SELECT a.target AS target, CASE WHEN {_OF_LEASE} THEN NULL ELSE m.name END AS shared,",
            "a.leased IS NOT NULL AS of_action, a.agent AS agent, a.person AS person,",
            "sum(CASE WHEN a.kind = ? THEN 1 ELSE 0 END) AS actions,",
            "count(DISTINCT m.name) AS accounts, min(a.at) AS first, max(a.at) AS last, max(a.entry) AS newest",
            "FROM mention m CROSS JOIN action a ON a.entry = m.entry JOIN name n ON n.id = m.name WHERE",
            " AND ".join(conditions),
            "GROUP BY 1, 2, 3, 4, 5",
        )
    )
    texts = (one if one == "of_action" else _TEXT.format(one) for one in _COLUMNS)
    # Only names of our own tables and columns; every value is a parameter.
    sql = " ".join(
        ("SELECT", ", ".join(texts), ", actions, accounts, first, last, newest FROM (", inner, ")")
    )
    return Condition(sql, (number("kind", kind_of(Tag.INTENT)), *values))


def account_use(row: Sequence[object]) -> AccountUse:
    """Return one row of that query."""
    texts, numbers = [str(one) for one in row], [one if isinstance(one, int) else 0 for one in row]
    return AccountUse(
        target=texts[0],
        name=texts[1],
        is_of_action=bool(numbers[2]),
        agent=texts[3],
        person=texts[4],
        actions=numbers[5],
        accounts=numbers[6],
        first_at=numbers[7],
        last_at=numbers[8],
        newest=numbers[9],
    )
