"""Attacks on where things go that a mandate lets out, on its ceiling, and on templates that are filled in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.mandate.caveat import DestinationIn, KindIn, SensitivityAtMost, SystemIn
from answerable.core.mandate.mandate import Grant, MandateId
from answerable.core.mandate.template import filled
from answerable.errors import Malformed, Refused
from answerable.testing.samples import mandate_terms
from tests.worlds.mandate import bench, issued

pytestmark = [pytest.mark.anyio]

MAIL = {"to": "ada@example.com", "body": "hello"}


def mail_to(*allowed: str):
    caveat = DestinationIn(type="email", allowed=allowed)
    return replace(mandate_terms("m-mail"), grants=(Grant(capability="mail.send", caveats=(caveat,)),))


@pytest.mark.requirement("MISSION-02")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"to": "a@evil.test"}, "mandate.caveat"),
        ({"to": "a@sub.example.com"}, "mandate.caveat"),
        ({"to": "a@example.com.evil.test"}, "mandate.caveat"),
        ({"to": "a@xn--exmple-cua.com"}, "mandate.caveat"),
        ({"to": ["a@example.com", "a@evil.test"]}, "mandate.caveat"),
        ({"to": "a@example.com", "cc": "a@evil.test"}, "mandate.caveat"),
        ({"to": "a@exаmple.com"}, "destination.invalid"),
        ({"to": "a@evil.test,a@example.com"}, "destination.invalid"),
        ({"to": "<a@evil.test> a@example.com"}, "destination.invalid"),
        ({"to": "a@example.com\r\nbcc: a@evil.test"}, "destination.invalid"),
        ({"body": "no address"}, "destination.unknown"),
        ({"to": []}, "destination.unknown"),
    ],
)
async def test_mail_goes_nowhere_but_where_the_mandate_says(arguments, code):
    made = await bench()
    await issued(made, mail_to("example.com"))
    await made.act("send", MAIL, mandate="m-mail")
    assert len(made.upstream.effects) == 1
    with pytest.raises(Refused) as told:
        await made.act("send", arguments, mandate="m-mail")
    assert (told.value.code == code) or any(code in reason for reason in told.value.reasons)
    assert len(made.upstream.effects) == 1


@pytest.mark.requirement("MISSION-02")
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/",
        "https://example.com@evil.test/",
        "https://example.com:8443/",
        "https://example.com.evil.test/",
        "https:example.com",
        "http://0x7f.1/",
    ],
)
async def test_no_url_that_hides_another_host_is_asked(url: str):
    made = await bench()
    caveat = DestinationIn(type="host", allowed=("example.com",))
    await issued(
        made, replace(mandate_terms("m-post"), grants=(Grant(capability="mail.post", caveats=(caveat,)),))
    )
    await made.act("post", {"url": "https://EXAMPLE.com/path"}, mandate="m-post")
    with pytest.raises(Refused):
        await made.act("post", {"url": url}, mandate="m-post")
    assert len(made.upstream.effects) == 1


@pytest.mark.requirement("MISSION-02")
async def test_a_capability_that_does_not_say_where_it_goes_goes_nowhere():
    made = await bench()
    caveat = DestinationIn(type="email", allowed=("example.com",))
    await issued(made, replace(mandate_terms("m-1"), caveats=(caveat,)))
    with pytest.raises(Refused) as told:
        await made.act()
    assert "the destination of `crm.read` is unknown" in str(told.value)


@pytest.mark.requirement("MISSION-03")
@pytest.mark.parametrize(
    ("caveat", "says"),
    [
        (SensitivityAtMost(ceiling="internal"), "internal data at most, not confidential"),
        (KindIn(kinds=("write",)), "to write only, not to read"),
        (SystemIn(servers=("mail",)), "system `mail` only, not `crm`"),
    ],
)
async def test_more_sensitive_data_other_kinds_and_other_systems_are_refused(caveat, says):
    made = await bench()
    await issued(made, replace(mandate_terms("m-1"), caveats=(caveat,)))
    with pytest.raises(Refused) as told:
        await made.act()
    assert says in str(told.value)
    assert made.upstream.effects == []


@pytest.mark.requirement("MISSION-02", "MISSION-07")
@pytest.mark.parametrize(
    "value",
    [
        "EXAMPLE.com",
        "a@b@example.com",
        "*",
        "{day}",
        "exаmple.com",
        "example.com,evil.test",
        ".example.com",
        "https://example.com",
    ],
)
async def test_a_value_that_is_no_destination_fills_no_template(value: str):
    made = await bench()
    template = made.walk.authority.registry.current.templates["mail-report"]
    with pytest.raises(Malformed) as told:
        filled(
            template,
            {"day": "2026-11-18", "domain": value},
            principal=PrincipalId("alice"),
            id=MandateId("m-1"),
            now=made.clock.now(),
        )
    assert told.value.code == "template.parameter"
