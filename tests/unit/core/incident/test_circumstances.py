"""Claims about what is told around an action."""

from __future__ import annotations

from answerable.core.incident.circumstances import circumstances


def test_nothing_is_told_of_what_an_entry_does_not_say():
    assert circumstances({}) == []
    assert circumstances({"asked": "odd", "obligations": "odd", "internal": "odd"}) == []
    assert circumstances({"internal": ["odd"], "obligations": [1]}) == []


def test_each_thing_is_one_line_and_what_is_secret_by_name_is_not_told():
    told = circumstances(
        {
            "purpose": "help",
            "reason": "asked",
            "asked": {"arguments": {"amount": 9, "api_token": "abc"}},
            "asked_decision": {"lifted": ["narrow"], "by": ["all"], "obligations": ["modify:amount<=5"]},
            "obligations": ["modify:amount<=5", "witnessed"],
            "internal": [{"source": "narrow", "text": "line\nbreak"}],
        }
    )
    assert told == [
        "purpose of the mandate: help",
        "reason the agent claimed: asked",
        "policy narrowed it; asked for was amount=9, api_token=(hidden)",
        "narrowed by narrow",
        "on the condition of modify:amount<=5; witnessed",
        "for people only, narrow: line\N{REPLACEMENT CHARACTER}break",
    ]
    assert circumstances({"asked": {"arguments": {"a": 1}}}) == ["policy narrowed it; asked for was a=1"]
    (kept,) = circumstances({"asked_digest": "ab" * 32})
    assert "kept as digest abababababab" in kept
    told = circumstances({"asked_digest": "ab", "asked_decision": {"lifted": [], "by": ["x"]}})
    assert told[1] == "narrowed by x"
