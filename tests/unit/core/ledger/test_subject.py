"""Names of subjects: no two who differ share one, whatever an agent may send as an id."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.ledger.subject import (
    ID_CHARS_MAX,
    LOG_SUBJECT,
    agent_subject,
    named_subject,
    operator_subject,
    principal_subject,
)

pytestmark = pytest.mark.requirement("SEAL-04")

_IDS = st.text(max_size=ID_CHARS_MAX + 50) | st.text(
    "ab:", min_size=ID_CHARS_MAX - 1, max_size=ID_CHARS_MAX + 2
)


@given(_IDS, _IDS)
def test_two_ids_have_two_subjects(one: str, other: str):
    assert (named_subject("Customer", one) == named_subject("Customer", other)) == (one == other)


def test_a_very_long_id_stands_as_its_digest_and_cannot_be_named_by_a_short_one():
    longest = "é" * ID_CHARS_MAX
    assert named_subject("Customer", longest) == f"Customer:{longest}"
    long = longest + "!"
    digest = f"sha256:{sha256(long.encode()).hexdigest()}"
    assert named_subject("Customer", long) == f"Customer:{digest}"
    # Who knows a long id must not get at its key by sending the digest as an id.
    assert named_subject("Customer", digest) != named_subject("Customer", long)


def test_kinds_of_subjects_do_not_meet():
    names = {
        named_subject("Customer", "alice"),
        named_subject("Employee", "alice"),
        principal_subject("alice"),
        agent_subject("alice"),
        operator_subject("alice"),
        LOG_SUBJECT,
    }
    assert len(names) == 6
    # The kind of a data subject begins with a capital letter and holds no colon, so none of ours can be imitated.
    assert all(
        name[0].islower() for name in (principal_subject("x"), agent_subject("x"), operator_subject("x"))
    )
