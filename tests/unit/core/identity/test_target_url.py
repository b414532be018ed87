"""One spelling for one place; what could be read in two ways is refused."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.target_url import URL_CHARS_MAX, normal_path, normal_url
from answerable.errors import Malformed

PLAIN = "https://gateway.example/mcp/crm"


@pytest.mark.parametrize(
    "same",
    [
        PLAIN,
        "HTTPS://gateway.example/mcp/crm",
        "https://GATEWAY.Example/mcp/crm",
        "https://gateway.example:443/mcp/crm",
        "https://gateway.example:/mcp/crm",
        "https://gateway.example/mcp/%63rm",
        "https://gateway.example/mcp/./crm",
        "https://gateway.example/x/../mcp/crm",
        "https://gateway.example/../mcp/crm",
        "https://gateway.example/mcp/x/%2e%2E/crm",
    ],
)
def test_spellings_of_one_place_come_out_equal(same: str) -> None:
    assert normal_url(same) == PLAIN


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://gateway.example/mcp%2fcrm", "https://gateway.example/mcp%2Fcrm"),
        ("https://gateway.example/mcp/%252e%252e/crm", "https://gateway.example/mcp/%252e%252e/crm"),
        ("https://gateway.example/mcp/crm/", "https://gateway.example/mcp/crm/"),
        ("https://gateway.example//mcp/crm", "https://gateway.example//mcp/crm"),
        ("https://gateway.example/mcp/crm;a=1", "https://gateway.example/mcp/crm;a=1"),
        ("https://gateway.example:8443/mcp/crm", "https://gateway.example:8443/mcp/crm"),
        ("http://gateway.example:443/", "http://gateway.example:443/"),
        ("http://gateway.example:80", "http://gateway.example/"),
        ("https://gateway.example./mcp/crm", "https://gateway.example./mcp/crm"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ("https://[2001:DB8::A]/a/.", "https://[2001:db8::a]/a/"),
        ("https://h/a/b/..", "https://h/a/"),
        ("https://h/.hidden/x", "https://h/.hidden/x"),
    ],
)
def test_other_places_stay_others(url: str, normal: str) -> None:
    assert normal_url(url) == normal != PLAIN
    assert normal_url(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/mcp/crm",
        "//gateway.example/mcp/crm",
        "ftp://gateway.example/",
        "httpſ://gateway.example/",
        "https://user@gateway.example/mcp/crm",
        "https://gateway.example@evil.example/mcp/crm",
        "https://gateway.example/mcp/crm?",
        "https://gateway.example/mcp/crm?x=1",
        "https://gateway.example/mcp/crm#",
        "https://gateway.example:0443/",
        "https://gateway.example:65536/",
        "https://gateway.example:99999999/",
        "https://gateway.example:-1/",
        "https://gate%77ay.example/",
        "https://gateway.\u212aexample/",
        "https://gateway.example/ü",
        "https://gateway.example/%zz",
        "https://gateway.example/%2",
        "https://gateway.example\\mcp/crm",
        "https://gateway.example/a b",
        "https://gateway.example/a\n",
        "https:///mcp/crm",
        "https://h/" + "a" * URL_CHARS_MAX,
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(Malformed) as told:
        normal_url(url)
    assert told.value.code == "url.malformed"


@pytest.mark.parametrize("path", ["mcp", "/a?b", "/%", "*"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(Malformed):
        normal_path(path)


def test_no_path_is_the_root() -> None:
    assert normal_path("") == normal_path("/") == normal_path("/..") == "/"
