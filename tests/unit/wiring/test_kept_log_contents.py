"""The content of lines in followed logs is compared with what is recorded, where there are keys for it."""

from __future__ import annotations

import json

import pytest

from answerable.core.lease.name import account_of
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.testing.contracts.ledger import SUBJECT
from answerable.wiring import kept_logs
from tests.unit.wiring.test_kept_logs import LEASES, NOW, Lab, lab, line, shown

__all__ = ["lab"]
pytestmark = pytest.mark.anyio


class Keys:
    """The one subject key until it is destroyed, and none other. opened: kept once found, as the stored ones are."""

    def __init__(self) -> None:
        self.ids_left = frozenset((SUBJECT.id,))
        self.opened = dict[bytes, SubjectKey]()

    def find(self, key_id: bytes) -> SubjectKey | None:
        if key_id in self.ids_left:
            self.opened[key_id] = SUBJECT
        return self.opened.get(key_id)

    def version(self) -> int:
        return len(self.ids_left)

    def ids(self) -> frozenset[bytes]:
        return self.ids_left

    def forget_destroyed(self, ids: frozenset[bytes]) -> None:
        self.opened = {key_id: key for key_id, key in self.opened.items() if key_id in ids}

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.requirement("FOLLOW-08", "ATTRIBUTE-12")
async def test_a_statement_that_is_not_the_recorded_one_is_found_once_and_only_where_it_can_be_opened(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = {1: "SELECT 1", 2: "DELETE FROM cases -- a secret", 3: "SELECT 3"}
    for number in statements:
        await lab.acts(number, begun=number, sql=f"SELECT\n{number}")
    lab.writes(line(-10, "c.1"))
    for number, sql in statements.items():
        account = account_of(LEASES[number])
        for said in (f"execute s: {sql}", "statement: ROLLBACK")[: 2 - (number == 3)]:
            lab.writes(line(number + 0.5, f"a.{number}", account, said=said))
    lab.writes(line(60, "c.2"))
    lab.now = NOW + 90_000
    # Without keys nothing is compared, and that is told.
    with lab.follower() as logs:
        told = lab.told(logs)
        assert not told.findings
        assert told.logs.items[0].lines == {"ours": 5, "others": 2, "uncompared": 5}
    lab.settings.logs.standing.unlink()
    monkeypatch.setattr(kept_logs, "_keys_of", lambda _: Keys())
    with lab.follower() as logs:
        told = lab.told(logs)
        assert shown(told) == [("content", account_of(LEASES[2]), "02")]
        assert told.logs.items[0].lines == {"ours": 5, "others": 2, "compared": 4, "content": 1}
        assert "DELETE" not in lab.settings.logs.standing.read_text()
        await lab.records(told)
        assert not lab.told(logs).findings
    lab.settings.logs.standing.unlink()
    with lab.follower() as logs:
        assert not lab.told(logs).findings
    (leaf,) = [json.loads(one.leaf) for one in lab.ledger.replay() if one.tag == Tag.LOG_FINDING]
    assert (leaf["verdict"], leaf["differs"], leaf["grade"]) == ("content", "statement", "B")


@pytest.mark.requirement("FOLLOW-08")
async def test_nothing_is_compared_any_more_with_what_a_destroyed_key_had_opened(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, account = Keys(), account_of(LEASES[1])
    monkeypatch.setattr(kept_logs, "_keys_of", lambda _: keys)
    await lab.acts(1, begun=1, sql="SELECT 1")
    lab.writes(line(-10, "c.1"), line(1.5, "a.1", account, said="statement: SELECT 1"))
    lab.now = NOW + 90_000
    with lab.follower() as logs:
        assert lab.told(logs).logs.items[0].lines == {"ours": 1, "others": 1, "compared": 1}
        keys.ids_left = frozenset()
        lab.writes(line(1.6, "a.1", account, said="statement: DELETE FROM cases"))
        told = lab.told(logs)
        assert told.logs.items[0].lines == {"ours": 2, "others": 1, "compared": 1, "uncompared": 1}
        assert not told.findings
    assert not keys.opened


@pytest.mark.requirement("FOLLOW-08")
async def test_a_log_that_begins_within_a_step_need_not_have_its_statement(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_logs, "_keys_of", lambda _: Keys())
    for number, begun in ((1, 0), (2, 20)):
        await lab.acts(number, begun=begun, sql=f"SELECT {number}")
        account = account_of(LEASES[number])
        lab.writes(line(begun + 0.5, f"a.{number}", account, said="statement: COMMIT"))
    lab.writes(line(60, "c.1"))
    lab.now = NOW + 90_000
    with lab.follower() as logs:
        told = lab.told(logs)
    # The log covers the second one, whose statement it does not have.
    assert shown(told) == [("content", account_of(LEASES[2]), "02")]
    assert told.logs.items[0].lines["content"] == 1
