"""Rows that are read one by one, or in another file: a list is shown without the one that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from answerable.adapters.sqlite import (
    SqliteAuthorityRegister,
    SqliteDeliveryRegister,
    SqliteDrillRegister,
    SqliteEventRegister,
    SqliteJoinTokens,
    SqlitePasskeyRegister,
    SqlitePolicyRegister,
    SqlitePreparedRegister,
    SqliteSightings,
    SqliteStore,
    SqliteSubjectKeys,
)
from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.core.containment.drill import Drilled
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.registry.snapshot.discovered_asset import Sighting
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.delivery_register import sample_delivery
from answerable.testing.contracts.drill_register import sample_drill
from answerable.testing.contracts.event_register import sample_stream
from answerable.testing.contracts.join_tokens import sample as sample_token
from answerable.testing.contracts.lease_register import sample_lease
from answerable.testing.contracts.passkey_register import sample_invitation
from answerable.testing.contracts.policy_register import sample_kept, sample_proposal
from answerable.testing.contracts.prepared_register import sample_prepared
from answerable.testing.entropy import SeededEntropy
from tests.contracts.test_unreadable_rows import damage, in_file, named

pytestmark = pytest.mark.requirement("READBACK-03")


@dataclass(frozen=True)
class OneByOne:
    """A table whose rows are read when somebody asks. fill: two rows. listed: how many can be read, of all. asked: the
    damaged one, by its name."""

    what: str
    name: str
    statement: str
    fill: Callable[[SqliteStore], None]
    listed: Callable[[SqliteStore], int]
    asked: Callable[[SqliteStore], Any] | None = None


def fill_tokens(store: SqliteStore) -> None:
    for number in (0, 1):
        SqliteJoinTokens(store).add(sample_token(number))


def fill_drills(store: SqliteStore) -> None:
    SqliteDrillRegister(store).put([sample_drill(1), sample_drill(2)])


def fill_streams(store: SqliteStore) -> None:
    for name in ("one", "two"):
        SqliteEventRegister(store).put(sample_stream(name))


def fill_deliveries(store: SqliteStore) -> None:
    SqliteDeliveryRegister(store).keep([sample_delivery(), sample_delivery(to="person:ann")])


def fill_prepared(store: SqliteStore) -> None:
    for number in (0, 1):
        SqlitePreparedRegister(store).add(sample_prepared(number), waiting_max=9)


def fill_policies(store: SqliteStore) -> None:
    for record in (sample_proposal("one"), sample_proposal("two"), sample_kept("k")):
        SqlitePolicyRegister(store).put(record)


def fill_sightings(store: SqliteStore) -> None:
    one = Sighting(
        kind="agent", name="one", source="agent one", grade="kernel", how="", first=START, last=START, count=1
    )  # fmt: skip
    SqliteSightings(store).keep([one, replace(one, name="two")])


def fill_federated(store: SqliteStore) -> None:
    for name in ("a.example", "b.example"):
        SqliteAuthorityRegister(store).keep_federated(TrustDomain(name), b"{}")


PREPARED = sample_prepared(0)
SEEN_ONE_BY_ONE = [
    OneByOne(
        "join token", "t0", "UPDATE join_tokens SET selectors = x'7b7d' WHERE number = 1",
        fill_tokens, lambda store: len([*SqliteJoinTokens(store).all()]),
        lambda store: SqliteJoinTokens(store).consume(sample_token(0).digest, now=START),
    ),
    OneByOne(
        "drill", sample_drill(1).id, "UPDATE drills SET came_of_it = x'7b7d' WHERE number = 1",
        fill_drills, lambda store: len(SqliteDrillRegister(store).of(Drilled("agent", "scout"))),
    ),
    OneByOne(
        "stream of events", "one", "UPDATE event_streams SET body = x'7b7d' WHERE number = 1",
        fill_streams, lambda store: len(SqliteEventRegister(store).streams()),
        lambda store: SqliteEventRegister(store).find("one"),
    ),
    OneByOne(
        "message about", "a-1", "UPDATE deliveries SET told = 'sung' WHERE number = 1",
        fill_deliveries, lambda store: len(SqliteDeliveryRegister(store).of("a-1")),
    ),
    OneByOne(
        "prepared object", PREPARED.id, "UPDATE prepared SET content = x'ff' WHERE number = 1",
        fill_prepared,
        lambda store: len(SqlitePreparedRegister(store).named(PREPARED.agent, PREPARED.digest)),
        lambda store: SqlitePreparedRegister(store).get(PREPARED.id),
    ),
    OneByOne(
        "record of policies", "one", "UPDATE policy_records SET body = x'7b7d' WHERE number = 1",
        fill_policies, lambda store: len(SqlitePolicyRegister(store).all("proposal")),
        lambda store: SqlitePolicyRegister(store).find("proposal", "one"),
    ),
    OneByOne(
        "sighting of", "agent", "UPDATE inventory SET name = CAST(x'ff' AS TEXT) WHERE name = 'one'",
        fill_sightings, lambda store: len([*SqliteSightings(store).all()]),
    ),
    OneByOne(
        "bundle of", "Not A Domain", "UPDATE federated SET domain = 'Not A Domain' WHERE domain = 'a.example'",
        fill_federated, lambda store: len(SqliteAuthorityRegister(store).federated()),
    ),
]  # fmt: skip


@pytest.mark.parametrize("table", SEEN_ONE_BY_ONE, ids=lambda one: one.what)
def test_a_list_is_shown_without_the_row_that_cannot_be_read_which_is_named(tmp_path, table):
    table.fill(in_file(tmp_path))
    damage(tmp_path, table.statement)
    fresh = in_file(tmp_path)
    assert table.listed(fresh) == 1
    if table.asked is not None:
        with pytest.raises(Unavailable) as raised:
            table.asked(fresh)
        assert raised.value.code == "register.corrupt"
    ((what, name),) = named(fresh)
    assert what == table.what
    assert table.name in name


def test_an_invitation_that_cannot_be_read_is_none_and_is_used_up(tmp_path):
    register = SqlitePasskeyRegister(in_file(tmp_path))
    for number in (0, 1):
        register.invite(sample_invitation(number))
    damage(tmp_path, "UPDATE invitations SET person = 'Not A Name' WHERE number = 1")
    for ask in (register.invitation, lambda digest: register.use_invitation(digest, now=START)):
        with pytest.raises(Unavailable):
            ask(sample_invitation(0).digest)
    assert register.use_invitation(sample_invitation(1).digest, now=START) is not None


@pytest.mark.parametrize("body", [b"{}", b"not json", b'{"name": 1}'])
def test_a_lease_that_cannot_be_read_is_named_and_the_broker_ends_the_others(tmp_path, body):
    first = SqliteLeaseRegister(tmp_path / "leases.db")
    first.put([sample_lease(1), sample_lease(2)])
    first.close()
    damage(tmp_path, f"UPDATE leases SET body = x'{body.hex()}' WHERE change = 1", "leases.db")
    register = SqliteLeaseRegister(tmp_path / "leases.db")
    assert [*register.open_leases()] == [sample_lease(2)]
    assert [one.lease for one in register.changes(sample_lease().log, 0)] == [sample_lease(2)]
    assert named(register._store) == (("lease", sample_lease(1).name),)
    with pytest.raises(Unavailable) as failed:
        register.get(sample_lease(1).name)
    assert failed.value.code == "register.corrupt"


def test_a_subject_whose_key_cannot_be_read_is_sealed_for_no_more_and_all_others_are_opened(tmp_path):
    def opened() -> SqliteSubjectKeys:
        return SqliteSubjectKeys.open(tmp_path / "keys.db", root=bytes(32), entropy=SeededEntropy(1))

    keys = opened()
    first, second = keys.of("ann"), keys.of("bob")
    keys.close()
    damage(tmp_path, f"UPDATE subject_keys SET wrapped = x'00' WHERE id = x'{first.id.hex()}'", "keys.db")
    again = opened()
    assert again.find(first.id) is None
    assert again.find(second.id) is not None
    assert again.of("bob").pseudonym(b"x", b"y") == second.pseudonym(b"x", b"y")
    with pytest.raises(Unavailable):
        again.of("ann")
    assert named(again._store) == (("subject key", first.id.hex()),)
