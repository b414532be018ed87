"""Channels on the command line, against the whole control API in process."""

# ruff: noqa: F811, F401 - fixtures of another module, which tests take by their names

from __future__ import annotations

import json

import anyio
import pytest

from answerable.adapters.sqlite import SqliteDeliveryRegister
from answerable.core.approval.route import Route
from answerable.flows.approval.notify_people import notify_people
from answerable.flows.state.reach_desk import NotificationState
from answerable.ports.message_channel import Sent
from answerable.testing.registers import fresh
from tests.unit.apps.cli.test_commands import (
    Command,
    applied,
    command,
    deferred,
    issued,
    product,
    world,
)
from tests.worlds.channel import LoudChannel

pytestmark = pytest.mark.requirement("CHANNEL-11")


def reached(product, channel: LoudChannel) -> NotificationState:
    desk = NotificationState(
        register=fresh(SqliteDeliveryRegister),
        channels={"email": channel},
        addresses={"email": lambda name: (f"{name}@example.com",)},
        routes=(Route(group="*", channel="email"),),
    )
    product.walk.asking.reach = desk
    return desk


def test_without_channels_it_is_said_how_to_have_some(command: Command):
    assert "channels.routes" in command("channel", "list").output
    assert "channels.routes" in command("channel", "test", "email", code=1).output


def test_what_was_told_and_what_was_not_is_seen_by_channel_and_approval(
    applied: Command,
    product,
    world,
):
    channel = LoudChannel()
    reached(product, channel)
    waiting = deferred(product, issued(applied, world))
    assert "not yet" not in applied("approval", "show", waiting).stdout
    channel.answers = [Sent(state="later", why="greylisted with code 451")]
    anyio.run(
        notify_people,
        product.walk.recorder.ledger,
        product.walk.authority,
        product.walk.asking,
        product.walk.live.link,
        product.walk.entropy,
        "email",
    )
    shown = applied("approval", "show", waiting).stdout
    assert "not yet (greylisted with code 451, 1 tries)" in shown
    assert "asked at 20" in shown
    assert "@example.com" not in shown
    told = json.loads(applied("approval", "show", waiting, "--json").stdout)["told"]
    assert {one["told"] for one in told} == {"asked", "nothing"}
    listed = applied("channel", "list").stdout
    assert "email" in listed
    assert "up" in listed


def test_a_channel_that_is_down_fails_the_list_and_says_why(applied: Command, product, world):
    channel = LoudChannel(always=Sent(state="down", why="the server cannot be reached"))
    reached(product, channel)
    waiting = deferred(product, issued(applied, world))
    anyio.run(
        notify_people,
        product.walk.recorder.ledger,
        product.walk.authority,
        product.walk.asking,
        product.walk.live.link,
        product.walk.entropy,
        "email",
    )
    assert "DOWN: the server cannot be reached" in applied("channel", "list", code=5).stdout
    json.loads(applied("channel", "list", "--json", code=5).stdout)
    assert "not yet" in applied("approval", "show", waiting).stdout
    channel.always = Sent(state="never", why="refused")
    product.walk.asking.reach.register.release("email", attempts=0, next_at=0, error="")
    anyio.run(
        notify_people,
        product.walk.recorder.ledger,
        product.walk.authority,
        product.walk.asking,
        product.walk.live.link,
        product.walk.entropy,
        "email",
    )
    assert "never (refused)" in applied("approval", "show", waiting).stdout


def test_a_test_message_goes_out_now_or_it_is_said_why_not(applied: Command, product):
    channel = LoudChannel()
    reached(product, channel)
    assert "accepted it" in applied("channel", "test", "email", "--to", "bela").output
    assert channel.kinds() == [("bela@example.com", "test")]
    channel.always = Sent(state="never", why="the server refused the address with code 550")
    assert "550" in applied("channel", "test", "email", "--to", "bela", code=5).output
    assert json.loads(applied("channel", "test", "email", "--to", "bela", "--json", code=5).stdout) == {
        "state": "never",
        "why": "the server refused the address with code 550",
    }
