"""Claims about the settings of announcing."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.flows.events.event_desk import EventLimits
from answerable.wiring.announcing_settings import AnnouncingSettings, receivers_in, webhooks_in
from answerable.wiring.settings import parse_settings

DATA = Path("/srv/a")


def faults(text: str) -> list[str]:
    _, found = parse_settings(text.encode(), data=DATA)
    return [f"{fault.line} {fault.key}: {fault.message}" for fault in found]


@pytest.mark.requirement("HOOK-04")
def test_by_default_nobody_is_told_and_the_bounds_are_those_of_the_desk():
    wanted, limits = AnnouncingSettings(), EventLimits()
    assert receivers_in(wanted) == {}
    assert webhooks_in(wanted) == ()
    for name in EventLimits.__slots__:
        assert getattr(limits, name) == getattr(wanted, name), name


@pytest.mark.requirement("HOOK-04")
def test_receivers_and_webhooks_are_read():
    wanted = AnnouncingSettings(
        receivers=("siem", "soc https://soc.example/a http://127.0.0.1:9/b"),
        webhooks=("ops https://hooks.example/x env:HOOK stops group:leads group:finance",),
    )
    assert receivers_in(wanted) == {
        "siem": frozenset(),
        "soc": frozenset({"https://soc.example/a", "http://127.0.0.1:9/b"}),
    }
    assert webhooks_in(wanted) == (
        ("ops", "https://hooks.example/x", "env:HOOK", True, ("leads", "finance")),
    )


@pytest.mark.requirement("HOOK-04")
@pytest.mark.parametrize(
    "line",
    [
        "", "Siem", "siem http://siem.example/", "siem https://", "siem ftp://siem.example/", "siem siem.example",
        "siem https://u:p@siem.example/", "siem https://siem.example/#x", "siem https://siem.example:x/",
        "siem https://siem.example/\\\\x", "siem http://127.0.0.1.evil.example/", "siem http://localhost@evil.example/",
        "siem https://siem.example/" + "x" * 2_100,
    ],
)  # fmt: skip
def test_a_receiver_that_could_lead_a_message_elsewhere_is_a_fault(line):
    (fault,) = faults(f'[announcing]\nreceivers = ["{line}"]\n')
    assert fault.startswith("2 announcing.receivers: ")


@pytest.mark.requirement("HOOK-04")
@pytest.mark.parametrize(
    "line",
    [
        "ops https://hooks.example/ file:x", "ops https://hooks.example/ file:x all",
        "ops https://hooks.example/ file: stops",
        "ops https://hooks.example/ whsec_dGhpcyBpcyBhIHNlY3JldCB2YWx1ZSBvZiB0aGVpcnM= stops",
        "ops http://hooks.example/ file:x stops", "Ops https://hooks.example/ file:x stops",
        "ops https://hooks.example/ file:x group:", "ops https://hooks.example/ file:x group:A",
    ],
)  # fmt: skip
def test_a_webhook_that_means_nothing_or_holds_its_secret_is_a_fault_that_does_not_show_it(line):
    (fault,) = faults(f'[announcing]\nwebhooks = ["{line}"]\n')
    assert fault.startswith("2 announcing.webhooks: ")
    assert "dGhpcyBpcyBh" not in fault


def test_one_name_is_there_once():
    twice = '["ops https://a.example/ file:x stops", "ops https://b.example/ file:x stops"]'
    assert len(faults(f"[announcing]\nwebhooks = {twice}\n")) == 1
    assert len(faults('[announcing]\nreceivers = ["siem", "siem"]\n')) == 1
