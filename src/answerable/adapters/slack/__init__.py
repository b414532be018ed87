"""Send messages to approvers in Slack."""

from __future__ import annotations

from answerable.adapters.slack.channel import SlackChannel
from answerable.adapters.slack.clicks import SlackClicks

__all__ = ["SlackChannel", "SlackClicks"]
