"""Send messages by Slack's Web API: `chat.postMessage`, and `chat.update` for messages sent before.

Messages contain a link, and buttons only if they are offered: a click in a chat proves the chat account and no more.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.adapters.slack.buttons import buttons_of, whole_blocks
from answerable.adapters.slack.texts import escaped, plain
from answerable.core.approval.message import cut_texts, left, unlinked
from answerable.core.canonical import Limits, encode, parse
from answerable.errors import Malformed, Unavailable
from answerable.ports.message_channel import Sent

if TYPE_CHECKING:
    from answerable.core.approval.message import Message
    from answerable.core.canonical import JSONValue
    from answerable.ports.event_post import EventPost

TEXT_CHARS_MAX: Final = 580
"""Characters of one text block before escaping, which turns one character into five: Slack accepts 3,000."""
RATE_LIMITED_SECONDS: Final = 30
_GONE: Final = frozenset(
    {
        "channel_not_found",
        "user_not_found",
        "users_not_found",
        "is_archived",
        "not_in_channel",
        "cannot_dm_bot",
        "user_disabled",
        "restricted_action",
        "msg_too_long",
        "invalid_blocks",
        "no_permission",
        "messages_tab_disabled",
    }
)
_OURS: Final = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "no_scope",
        "org_login_required",
        "ekm_access_denied",
        "access_denied",
    }
)
_NOT_CHANGED: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_ERROR: Final = re.compile(r"[a-z_]{1,60}")


class SlackChannel:
    """Implements ports.message_channel.MessageChannel."""

    updates: Final = True

    def __init__(self, post: EventPost, *, token: str, url: str) -> None:
        """token: of a bot with the scope `chat:write`. url: of the API, without a final slash."""
        self._post, self._token, self._url = post, token, url

    async def send(self, message: Message, address: str, *, handle: str, now: int) -> Sent:
        """Send a message. address: id of a member or of a channel. handle: `CHANNEL:TS`."""
        channel, _, stamp = handle.partition(":")
        if stamp and message.kind == "ended":
            sent = await self._called("chat.update", {"channel": channel, "ts": stamp}, message, now)
            if sent.why not in _NOT_CHANGED:
                return sent
        return await self._called("chat.postMessage", {"channel": address}, message, now)

    async def _called(self, method: str, where: dict[str, JSONValue], message: Message, now: int) -> Sent:
        body: dict[str, JSONValue] = {
            **where,
            "text": escaped(cut_texts([message.title, unlinked(message.sentence)], TEXT_CHARS_MAX)),
            "blocks": blocks_of(message, now),
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        headers = {
            "content-type": "application/json; charset=utf-8",
            "authorization": f"Bearer {self._token}",
        }
        try:
            answer = await self._post.post(f"{self._url}/{method}", headers, encode(body))
        except Unavailable as error:
            return Sent(state="down", why=error.message.replace("a receiver of events", "Slack"))
        if answer.status == 429:
            wait = answer.retry_after or RATE_LIMITED_SECONDS
            return Sent(state="down", why="Slack asks to wait", wait_seconds=wait)
        if answer.status != 200:
            return Sent(state="down", why=f"Slack answered with status {answer.status}")
        return _sent(answer.body)


def blocks_of(message: Message, now: int) -> list[JSONValue]:
    """Render a message. Text chosen by others is plain text, without markup, links or mentions."""
    lines = [f"{label}: {text}" for label, text in message.lines]
    if message.until:
        until = datetime.fromtimestamp(message.until / 1000, UTC)
        lines.append(f"until {until:%H:%M} UTC, {left(message, now)}")
    around = cut_texts([unlinked(one) for one in (*message.badges, *lines)], TEXT_CHARS_MAX)
    title: JSONValue = {"type": "section", "text": {"type": "mrkdwn", "text": f"*{escaped(message.title)}*"}}
    sentence = plain(cut_texts([unlinked(message.sentence)], TEXT_CHARS_MAX))
    blocks: list[JSONValue] = [title, {"type": "section", "text": sentence}]
    if message.offer is not None:
        blocks, around = [title, *whole_blocks(message, message.offer)], lines[-1]
    if around:
        blocks.append({"type": "context", "elements": [plain(around)]})
    if message.link:
        words = "See and answer it" if message.urgent else "See it"
        blocks.append(
            {"type": "section", "text": {"type": "mrkdwn", "text": f"<{escaped(message.link)}|{words}>"}}
        )
    if message.offer is not None:
        blocks.append(buttons_of(message.offer))
    return blocks


def _sent(body: bytes) -> Sent:
    try:
        said = parse(body, limits=Limits(depth_max=16))
    except Malformed:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
        return Sent(state="down", why="Slack answered with something else")
    if said["ok"]:
        return Sent(state="taken", handle=f"{said.get('channel', '')}:{said.get('ts', '')}")
    error = said.get("error")
    error = error if isinstance(error, str) and _ERROR.fullmatch(error) else "unknown"
    if error in _GONE:
        return Sent(state="never", why=error)
    if error in ("ratelimited", "rate_limited"):
        return Sent(state="down", why="Slack asks to wait", wait_seconds=RATE_LIMITED_SECONDS)
    return Sent(state="down" if error in _OURS else "later", why=error)
