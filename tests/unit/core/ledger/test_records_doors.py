"""What an entry about refusals at a door says, and that it stays within what is stated of its size."""

from __future__ import annotations

from answerable.core.canonical import INTEGER_MAX
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.proof.door_refusal import DoorRefusal
from answerable.core.ledger.disclosure import Sealing, opened_fields
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.records_doors import door_refusal
from answerable.testing.entropy import SeededEntropy
from tests.unit.core.ledger.test_records import KEY

AT = UnixMillis(1_800_000_000_000)
SEALING = Sealing(key=KEY, random=SeededEntropy("doors").bytes)
ENTRY_BYTES_MAX = 2_048


def test_the_largest_entry_is_within_what_is_stated():
    largest = DoorRefusal(
        door="workload_api", code="c" * 60, source="s" * 40, first=AT, last=AT, count=INTEGER_MAX, peer="p" * 240,
        key="k" * 43, agent="a" * 63, agent_named="n" * 120, mandate_named="m" * 120,
    )  # fmt: skip
    entry = door_refusal(largest, at=AT, sealing=SEALING)
    assert len(entry.leaf) + len(entry.attachment) <= ENTRY_BYTES_MAX
    names = [one.name for one in opened_fields(entry.attachment, KEY)]
    assert sorted(names) == ["agent_named", "mandate_named", "peer", "source"], (
        "what may be a person's is sealed"
    )


def test_what_is_not_known_is_left_out_and_many_senders_are_called_others():
    others = DoorRefusal(door="mcp", code="proof.key", source="", first=AT, last=AT, count=7)
    entry = door_refusal(others, at=AT, sealing=SEALING)
    assert entry.attachment == b""
    assert {**leaf_of(entry), "v": 1} == {
        "v": 1, "tag": 45, "at": AT, "code": "proof.key", "count": 7, "door": "mcp", "first": AT, "last": AT,
        "others": True,
    }  # fmt: skip
