"""HTTP requests held against what a lease lets through."""

from __future__ import annotations

import pytest

from answerable.core.lease.requests import asked_request, let_request, path_fault, rule_faults, rules_of
from answerable.errors import Refused


def lets(rule, method, path, query=None) -> bool:
    try:
        let_request(rules_of([rule]), asked_request(method, path, query))
    except Refused as refused:
        if refused.code != "target.arguments":
            raise
        return False
    return True


CASE = {"methods": ["GET"], "path": "/cases/42"}


def test_a_request_is_let_through_by_its_own_rule_and_by_no_other():
    assert lets(CASE, "GET", "/cases/42")
    assert lets(CASE, "HEAD", "/cases/42")
    for method, path in (
        ("POST", "/cases/42"),
        ("GET", "/cases/421"),
        ("GET", "/cases/42/"),
        ("GET", "/cases/42/notes"),
        ("GET", "/cases"),
        ("GET", "/Cases/42"),
    ):
        assert not lets(CASE, method, path)
    assert not lets(CASE, "GET", "/cases/42", {"expand": "all"})


def test_below_lets_what_is_below_and_nothing_that_only_begins_alike():
    rule = {"methods": ["GET"], "path": "/repos/octo/hello", "below": True}
    assert lets(rule, "GET", "/repos/octo/hello")
    assert lets(rule, "GET", "/repos/octo/hello/issues/7")
    assert not lets(rule, "GET", "/repos/octo/hello-secret")
    assert not lets(rule, "GET", "/repos/octo")
    assert lets({**rule, "path": "/"}, "GET", "/any/thing")


@pytest.mark.parametrize(
    "path",
    [
        "/cases/../admin",
        "/cases/./42",
        "/cases//42",
        "//other.example/cases",
        "/cases/%2e%2e/admin",
        "/cases%2f42",
        "/cases/..;/admin",
        "/cases\\..\\admin",
        "/cases/42?x=1",
        "/cases/42#x",
        "/cases/42\r\nHost: other.example",
        "/cases/\x00",
        "/cases/\uff0e\uff0e/admin",
        "/cases\uff0fadmin",
        "/cases/\u2025/admin",
        "/cases/\ud800",
        "cases/42",
        "http://other.example/",
        "",
        None,
        7,
        "/" + "a" * 2048,
    ],
)
def test_a_path_that_servers_may_read_in_several_ways_is_refused_on_both_sides(path):
    assert path_fault(path)
    assert rule_faults([{"methods": ["GET"], "path": path}])
    assert not lets({"methods": ["GET"], "path": "/", "below": True}, "GET", path)


def test_a_path_that_is_a_list_has_one_segment_for_each_text():
    rule = {"methods": ["GET"], "path": ["cases", "42", "notes"]}
    assert lets(rule, "GET", "/cases/42/notes")
    assert not lets(rule, "GET", "/cases/42")
    assert lets({**rule, "below": True}, "GET", "/cases/42/notes/7")
    assert rules_of([rule]) == rules_of([{**rule, "path": "/cases/42/notes"}])


@pytest.mark.parametrize(
    "segment", ["42/private", "/", "", "..", ".", "%2f", "a;b", "a\\b", "a\n", "\uff0f", 7, None, []]
)
def test_no_value_in_a_list_brings_further_segments(segment):
    assert rule_faults([{"methods": ["GET"], "path": ["cases", segment, "public"]}])
    assert rule_faults([{"methods": ["GET"], "path": []}])


def test_a_value_that_looks_like_a_wildcard_is_only_a_text():
    assert not lets({"methods": ["GET"], "path": "/cases/*"}, "GET", "/cases/42")
    assert not lets({"methods": ["GET"], "path": "/cases/.*"}, "GET", "/cases/42")
    assert not lets({**CASE, "query": {"owner": "*"}}, "GET", "/cases/42", {"owner": "anna"})


def test_a_parameter_that_limits_must_be_there_and_one_that_nobody_named_must_not():
    rule = {**CASE, "query": {"owner": "anna", "state": ["open", "new"], "page": True}}
    assert lets(rule, "GET", "/cases/42", {"owner": "anna", "state": "new"})
    assert lets(rule, "GET", "/cases/42", {"owner": "anna", "state": "open", "page": "7"})
    for query in (
        {"state": "open"},
        {"owner": "anna"},
        {"owner": "Anna", "state": "open"},
        {"owner": "anna", "state": "open", "Page": "7"},
        {},
    ):
        assert not lets(rule, "GET", "/cases/42", query)


@pytest.mark.parametrize(
    "query", [[], "a=b", {"a": 1}, {"a": ["b"]}, {"a": "b\r\nc"}, {"": "a"}, {"é": "a"}, {"a": "b" * 2049}]
)
def test_parameters_that_are_no_plain_texts_are_refused(query):
    with pytest.raises(Refused) as refused:
        asked_request("GET", "/cases", query)
    assert refused.value.code == "target.arguments"


@pytest.mark.parametrize("method", ["get", "CONNECT", "TRACE", "GET ", "GET\r\n", "", None, ["GET"]])
def test_a_method_that_is_no_known_one_is_refused(method):
    with pytest.raises(Refused):
        asked_request(method, "/")


def test_path_and_query_are_encoded_once():
    asked = asked_request("GET", "/cases/à b:@", {"q": "a&b=c #%/?+é"})
    assert asked.target() == "/cases/%C3%A0%20b:@?q=a%26b%3Dc%20%23%25%2F%3F%2B%C3%A9"
    assert asked_request("GET", "/").target() == "/"


@pytest.mark.parametrize(
    "rule",
    [
        {},
        [],
        "GET /",
        None,
        {"methods": [], "path": "/"},
        {"methods": ["get"], "path": "/"},
        {"methods": "GET", "path": "/"},
        {"methods": [["GET"]], "path": "/"},
        {"methods": ["GET"]},
        {**CASE, "below": "yes"},
        {**CASE, "below": 1},
        {**CASE, "host": "other.example"},
        {**CASE, "query": []},
        {**CASE, "query": {"a": False}},
        {**CASE, "query": {"a": None}},
        {**CASE, "query": {"a": []}},
        {**CASE, "query": {"a": [1]}},
        {**CASE, "query": {"a": ["x", True]}},
        {**CASE, "query": {"a\n": "x"}},
    ],
)
def test_a_rule_that_is_not_understood_whole_is_a_fault(rule):
    assert rule_faults([rule])
    with pytest.raises(Refused) as refused:
        rules_of([rule])
    assert refused.value.code == "lease.scope"


@pytest.mark.parametrize("rules", [[], None, {}, CASE, [CASE] * 65])
def test_rules_are_a_list_that_has_some(rules):
    assert rule_faults(rules)


def test_a_refusal_says_what_the_lease_lets_through():
    rules = rules_of(
        [{"methods": ["GET", "POST"], "path": "/a", "below": True, "query": {"b": "c", "d": True}}]
    )
    with pytest.raises(Refused) as refused:
        let_request(rules, asked_request("DELETE", "/a"))
    assert "GET,POST /a and below ?b=c&d=any" in refused.value.message
