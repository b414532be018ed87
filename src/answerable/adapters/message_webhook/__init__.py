"""Messages to approvers through a webhook of theirs."""

from __future__ import annotations

from answerable.adapters.message_webhook.channel import MessageWebhook

__all__ = ["MessageWebhook"]
