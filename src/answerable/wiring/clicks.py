"""Build from settings the state for chat clicks, and the signing secret of their endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.event_http import HttpEventPost
from answerable.adapters.slack import SlackClicks
from answerable.errors.codes.leases import SECRET_SLACK
from answerable.flows.state.click_desk import ChatAnswerState
from answerable.wiring.click_settings import wants_clicks
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    from answerable.wiring.setting_tree import Settings

ANSWER_SECONDS_MAX: Final = 2.0
"""Time limit for one answer of the chat, which itself waits three seconds for this server's."""
SECRET_CHARS: Final = (16, 256)


def click_desk(settings: Settings) -> ChatAnswerState | None:
    """Return the state; None if no tier accepts a click. Raises Unavailable (`secret.*`), Malformed (`secret.*`,
    `event_post.authorities`)."""
    wanted = settings.channels
    if not wants_clicks(settings):
        return None
    given = secret(wanted.authorities, data=settings.data) if wanted.authorities else b""
    post = HttpEventPost(answer_seconds_max=ANSWER_SECONDS_MAX, authorities=given)
    token = secret(wanted.slack_token, data=settings.data).decode("ascii", "replace").strip()
    return ChatAnswerState(chat=SlackClicks(post, token=token, url=wanted.slack_url.rstrip("/")))


def signing_secret(settings: Settings) -> bytes:
    """Return the secret with which the chat signs. Raises Unavailable (`secret.*`), Malformed (`secret.*`)."""
    given = secret(settings.channels.slack_signing_secret, data=settings.data).strip()
    if not SECRET_CHARS[0] <= len(given) <= SECRET_CHARS[1] or not given.isascii():
        raise SECRET_SLACK(
            f"Slack's signing secret has {SECRET_CHARS[0]} to {SECRET_CHARS[1]} characters: look at the app's page"
        )
    return given
