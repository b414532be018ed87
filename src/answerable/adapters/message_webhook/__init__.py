"""Send messages for approvers to a webhook."""

from __future__ import annotations

from answerable.adapters.message_webhook.channel import MessageWebhook

__all__ = ["MessageWebhook"]
