"""Messages to approvers in Slack."""

from __future__ import annotations

from answerable.adapters.slack.channel import SlackChannel

__all__ = ["SlackChannel"]
