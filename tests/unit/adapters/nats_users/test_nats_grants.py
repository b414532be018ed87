import pytest

from answerable.adapters.nats_users.grants import checked_grants, is_plain_subject
from answerable.core.canonical import freeze


def test_tokens_are_literal_and_what_is_open_is_an_object():
    grants, faults = checked_grants(
        freeze({"publish": [["case", "7", {"any": "token"}], ["log", {"any": "rest"}]], "request": [["ask"]]})
    )
    assert grants is not None, faults
    assert grants.permissions("_INBOX.x") == {
        "pub": {"allow": ["ask", "case.7.*", "log.>"]},
        "sub": {"allow": ["_INBOX.x.>"]},
        "subs": 4,
    }


def test_who_may_only_publish_is_denied_every_subscription_in_words():
    grants, _ = checked_grants(freeze({"publish": [["a"]]}))
    assert grants is not None
    assert grants.permissions("_INBOX.x")["sub"] == {"deny": [">"]}


@pytest.mark.parametrize(
    "scope",
    [
        None,
        [],
        {},
        {"publish": []},
        {"publish": "case.7"},
        {"publish": ["case.7"]},
        {"publish": [[]]},
        {"publish": [["a"] * 17]},
        {"publish": [["a"]] * 65},
        {"publish": [["a"]], "subscribe": [["a"]]},
        {"publish": [[{"any": "token"}]]},
        {"publish": [[{"any": "rest"}]]},
        {"publish": [["a", {"any": "rest"}, "b"]]},
        {"publish": [["a", {"any": "all"}]]},
        {"publish": [["a", {"any": "token", "more": 1}]]},
        {"publish": [["a", 7]]},
        {"publish": [["$JS", "API"]]},
        {"publish": [["_INBOX", "x"]]},
        *(
            {"publish": [["case", value]]}
            for value in ("", "*", ">", "7.8", "7 8", "7*", "7\r\nPUB a 0", "7\t", "7\x00", "a" * 129)
        ),
    ],
)
def test_what_is_not_understood_whole_grants_nothing(scope):
    grants, faults = checked_grants(freeze(scope))
    assert grants is None
    assert faults


@pytest.mark.parametrize(
    ("subject", "is_plain"),
    [
        ("case.7.note", True),
        ("case", True),
        ("", False),
        ("case..note", False),
        ("case.*", False),
        ("case.>", False),
        ("case 7", False),
        ("case\r\nPUB x 0\r\n", False),
        ("$SYS.REQ", False),
        ("_INBOX.x", False),
        ("a" * 129, False),
        (".".join("a" * 17), False),
    ],
)
def test_a_message_goes_to_one_plain_subject(subject, is_plain):
    assert is_plain_subject(subject) is is_plain
