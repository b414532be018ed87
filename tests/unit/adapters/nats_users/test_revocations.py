from answerable.adapters.nats_users.revocations import FAR, revoked_in, with_revoked
from answerable.core.canonical import JSONValue

NOW = 1_795_000_000
CLAIMS: dict[str, JSONValue] = {
    "iat": NOW - 5,
    "name": "cases",
    "nats": {
        "limits": {"subs": -1},
        "revocations": {"THEIRS": NOW - 900, "*": NOW - 9000, "OLD": FAR + NOW - 1},
    },
}


def test_what_others_revoked_and_all_else_stays_and_what_has_ended_by_itself_goes():
    changed = with_revoked(CLAIMS, {"OURS": NOW + 60}, now=NOW)
    assert changed == {
        "iat": NOW,
        "name": "cases",
        "nats": {
            "limits": {"subs": -1},
            "revocations": {"THEIRS": NOW - 900, "*": NOW - 9000, "OURS": FAR + NOW + 60},
        },
    }
    assert with_revoked(changed, {"OURS": NOW + 60}, now=NOW + 1) is None


def test_a_revocation_of_others_with_an_earlier_date_is_not_taken_for_ours():
    assert with_revoked(CLAIMS, {"THEIRS": NOW + 60}, now=NOW) is not None


def test_a_lease_that_should_have_ended_is_revoked_until_now_at_least():
    changed = with_revoked(CLAIMS, {"LATE": NOW - 60}, now=NOW)
    assert changed is not None
    assert revoked_in(changed)["LATE"] == FAR + NOW


def test_a_token_is_never_dated_before_the_one_it_replaces():
    changed = with_revoked({**CLAIMS, "iat": NOW + 90}, {"OURS": NOW + 60}, now=NOW)
    assert changed is not None
    assert changed["iat"] == NOW + 91
    assert with_revoked({}, {"OURS": NOW}, now=NOW) == {
        "iat": NOW,
        "nats": {"revocations": {"OURS": FAR + NOW}},
    }
