"""Destinations: one spelling each, and what has two is no destination."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.destination import (
    DESTINATIONS_MAX,
    DestinationMapping,
    admits,
    checked_allowed,
    destinations_of,
    normalised,
)
from answerable.errors import Malformed

MAIL = DestinationMapping(type="email", arguments=("to", "cc"))


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("email", "Ada.L+x@Example.COM", "Ada.L+x@example.com"),
        ("host", "Example.COM", "example.com"),
        ("host", "https://EXAMPLE.com/a?b=https://evil.test#c", "example.com"),
        ("host", "https://example.com:443/", "example.com"),
        ("host", "http://example.com:443/", "example.com:443"),
        ("host", "example.com:8443", "example.com:8443"),
        ("host", "127.0.0.1", "127.0.0.1"),
        ("host", "https://[2001:DB8:0:0::1]/", "[2001:db8::1]"),
        ("host", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("name", "Channel 7", "Channel 7"),
    ],
)
def test_a_destination_has_one_spelling(kind, text, expected):
    assert normalised(kind, text) == expected
    assert normalised(kind, normalised(kind, text)) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "example.com"),
        ("email", "@example.com"),
        ("email", "a@"),
        ("email", "a@b@example.com"),
        ("email", "a@example.com, b@evil.test"),
        ("email", "Ada <a@example.com>"),
        ("email", "a@example.com>"),
        ("email", '"a b"@example.com'),
        ("email", "a%evil.test@example.com"),
        ("email", "evil.test!a@example.com"),
        ("email", "a@example.com\nbcc: b@evil.test"),
        ("email", "a@exаmple.com"),
        ("email", "a@example.com."),
        ("email", "a@[127.0.0.1]"),
        ("email", f"{'a' * 65}@example.com"),
        ("host", "https://example.com@evil.test/"),
        ("host", "https://example.com:pass@evil.test/"),
        ("host", "https://example.com\\@evil.test/"),
        ("host", "https:///evil.test"),
        ("host", "https:evil.test"),
        ("host", "//evil.test"),
        ("host", "file:///etc/passwd"),
        ("host", "ftp://example.com/"),
        ("host", "exаmple.com"),
        ("host", "example.com\t.evil.test"),
        ("host", "example%2ecom"),
        ("host", "example.com."),
        ("host", ".example.com"),
        ("host", "ex ample.com"),
        ("host", "2130706433"),
        ("host", "0x7f.1"),
        ("host", "127.1"),
        ("host", "0177.0.0.1"),
        ("host", "example.com:0"),
        ("host", "example.com:080"),
        ("host", "example.com:99999"),
        ("host", "example.com/path"),
        ("host", "[::1%25eth0]"),
        ("host", "[::g]"),
        ("host", "[1:2]"),
        ("host", ""),
        ("host", f"https://{'a' * 64}.test"),
        ("host", f"https://example.com/{'a' * 3000}"),
        ("name", ""),
        ("name", " padded"),
        ("name", "a@example.com"),
        ("name", "übung"),
        ("name", "n" * 256),
    ],
)
def test_what_could_be_read_in_two_ways_is_no_destination(kind, text):
    with pytest.raises(Malformed) as told:
        normalised(kind, text)
    assert told.value.code == "destination.invalid"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "Example.com"),
        ("email", "a@EXAMPLE.com"),
        ("host", "https://example.com"),
        ("host", "A.test"),
    ],
)
def test_what_a_mandate_allows_is_written_in_that_spelling(kind, text):
    with pytest.raises(Malformed, match="must be written"):
        checked_allowed(kind, text)


def test_what_is_no_address_and_no_domain_is_told_both():
    with pytest.raises(Malformed, match="neither a mail address like"):
        checked_allowed("email", "Harbour Logistics")


def test_a_mail_domain_allows_its_addresses_and_nothing_below_or_beside_it():
    allowed = (checked_allowed("email", "example.com"), checked_allowed("email", "ada@other.test"))
    assert admits(allowed, "anybody@example.com")
    assert admits(allowed, "ada@other.test")
    for outside in ("bob@other.test", "a@sub.example.com", "a@notexample.com", "Ada@other.test"):
        assert not admits(allowed, outside)


def test_every_argument_that_is_mapped_counts():
    arguments = {"to": ["A@x.test", "b@x.test"], "cc": "a@X.test", "body": "evil.test"}
    assert destinations_of(MAIL, arguments, {}) == ("A@x.test", "b@x.test", "a@x.test")
    assert destinations_of(MAIL, {}, {"to": "v@x.test"}) == ("v@x.test",)
    fixed = DestinationMapping(type="host", fixed="crm.test")
    assert destinations_of(fixed, {"to": "b@x.test"}, {}) == ("crm.test",)
    assert destinations_of(DestinationMapping(), {"to": "b@x.test"}, {}) == ()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "destination.unknown"),
        ({"to": None}, "destination.unknown"),
        ({"to": []}, "destination.unknown"),
        ({"to": 7}, "destination.unknown"),
        ({"to": {"address": "a@x.test"}}, "destination.unknown"),
        ({"to": ["a@x.test", 7]}, "destination.unknown"),
        ({"to": ["a@x.test", "nobody"]}, "destination.invalid"),
        ({"to": [f"a{n}@x.test" for n in range(DESTINATIONS_MAX + 1)]}, "destination.invalid"),
    ],
)
def test_a_list_that_cannot_be_read_as_a_whole_is_not_read(arguments, code):
    with pytest.raises(Malformed) as told:
        destinations_of(MAIL, arguments, {})
    assert told.value.code == code
