"""Call Slack's Web API after a click: `users.info`, `chat.update` and `chat.postEphemeral`.

No address in a click request is used: `response_url`, which anyone who has it may post to, is neither used nor stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from answerable.adapters.slack.channel import blocks_of
from answerable.adapters.slack.texts import escaped, plain
from answerable.core.approval.message import cut_texts, unlinked
from answerable.core.approval.visible import visible
from answerable.core.canonical import Limits, encode, parse
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.approval import CHAT_UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.approval.chat_click import ChatAccount
    from answerable.core.approval.message import Message
    from answerable.core.canonical import JSONValue
    from answerable.ports.event_post import EventPost

WHISPER_CHARS_MAX: Final = 580
_FALSE: Final = {
    "deleted": "it was deactivated",
    "is_bot": "it is a program's",
    "is_restricted": "it is a guest's",
    "is_ultra_restricted": "it is a guest's",
}
"""Members that the account must state as false, and the reason for the refusal if it does not."""
_NOT_TRUE: Final = {
    "is_stranger": "it is of another workspace",
    "is_workflow_bot": "it is a program's",
    "is_connector_bot": "it is a program's",
    "is_invited_user": "its invitation was not taken up yet",
}
"""Members that the account may omit, but not state as true."""
_GONE: Final = frozenset({"user_not_found", "user_not_visible"})


class SlackClicks:
    """Implements ports.chat_clicks.ChatClicks."""

    def __init__(self, post: EventPost, *, token: str, url: str) -> None:
        """token: of a bot with the scopes `chat:write` and `users:read`. url: of the API, without a final slash."""
        self._post, self._token, self._url = post, token, url

    async def standing(self, account: ChatAccount) -> str:
        said = await self._called(
            "users.info", "application/x-www-form-urlencoded", urlencode({"user": account.user}).encode()
        )
        if said.get("ok") is not True:
            if said.get("error") in _GONE:
                return "there is no such member"
            raise _unreachable("it does not say who that is")
        user = said.get("user")
        if not isinstance(user, dict) or user.get("id") != account.user:
            raise _unreachable("it speaks of somebody else")
        if user.get("team_id") != account.team:
            return "it is of another workspace"
        found = [why for name, why in _FALSE.items() if user.get(name) is not False]
        found += [why for name, why in _NOT_TRUE.items() if user.get(name, False) is not False]
        return found[0] if found else ""

    async def withdraw(self, message: Message, place: str, *, now: int) -> None:
        channel, _, stamp = place.partition(":")
        await self._told(
            "chat.update",
            {
                "channel": channel,
                "ts": stamp,
                "text": escaped(cut_texts([message.title, unlinked(message.sentence)], WHISPER_CHARS_MAX)),
                "blocks": blocks_of(message, now),
            },
        )

    async def whisper(self, text: str, account: ChatAccount, place: str) -> None:
        """Show a text to one person only. Answerable's link stays a link; no other text becomes one."""
        shown = cut_texts([visible(text[:1].upper() + text[1:])], WHISPER_CHARS_MAX)
        await self._told(
            "chat.postEphemeral",
            {
                "channel": place.partition(":")[0],
                "user": account.user,
                "text": escaped(shown),
                "blocks": [{"type": "section", "text": plain(shown)}],
            },
        )

    async def _told(self, method: str, body: dict[str, JSONValue]) -> None:
        quiet: dict[str, JSONValue] = {
            **body,
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        try:
            await self._called(method, "application/json; charset=utf-8", encode(quiet))
        except Unavailable:
            # Best effort: the recorded answer stays valid, and the first page of the console reports that the channel
            # is down.
            return

    async def _called(self, method: str, kind: str, body: bytes) -> Mapping[str, JSONValue]:
        """Call a method and return its answer. Raises Unavailable (`chat.unreachable`)."""
        headers = {"content-type": kind, "authorization": f"Bearer {self._token}"}
        try:
            answer = await self._post.post(f"{self._url}/{method}", headers, body)
        except Unavailable as error:
            raise _unreachable(error.message.rpartition(": ")[2]) from None
        if answer.status != 200:
            raise _unreachable(f"it answered with status {answer.status}")
        try:
            said = parse(answer.body, limits=Limits(depth_max=16))
        except Malformed:
            said = None
        if not isinstance(said, dict):
            raise _unreachable("it answered with something else")
        return said


def _unreachable(why: str) -> Unavailable:
    return CHAT_UNREACHABLE(f"Slack does not report whose account this is: {why}")
