"""Clicks that do not count, and what happens while Slack is asked about one."""

from __future__ import annotations

from answerable.core.approval.chat_click import ChatAccount
from answerable.flows.state.click_desk import Offered
from tests.worlds.click import TEAM, Clicks, buttons_in, user_of


class Between:
    """Implements ports.chat_clicks.ChatClicks: something happens while Slack is asked."""

    def __init__(self, chat, happens) -> None:
        self._chat, self._happens = chat, happens

    async def standing(self, account):
        why = await self._chat.standing(account)
        await self._happens()
        return why

    async def withdraw(self, message, place, *, now):
        await self._chat.withdraw(message, place, now=now)

    async def whisper(self, text, account, place):
        await self._chat.whisper(text, account, place)


async def refused(world: Clicks, person: str = "bob", **changes) -> str:
    """A click that is taken and does not count; what its person alone is told, and that the button is gone."""
    answer = await world.press(person, **changes)
    assert (answer.status_code, answer.content) == (200, b"")
    assert world.answers() == 0
    assert [one["user"] for one in world.slack.whispered] == [user_of(person)]
    return world.whispers()[-1]


def without_buttons(world: Clicks) -> bool:
    """Whether the message now has the link alone."""
    return bool(world.slack.updated) and not any(buttons_in(one) for one in world.slack.updated)


def offer_of(asked, **changes) -> Offered:
    given = {
        "approval": asked.id,
        "action": asked.shown.hex,
        "rendering": asked.card.hex,
        "person": "bob",
        "account": ChatAccount(team=TEAM, user="U0BOB"),
        "ends": asked.expires_at,
    }
    return Offered(**(given | changes))
