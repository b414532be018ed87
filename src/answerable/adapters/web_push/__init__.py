"""Send messages to approvers' own devices, through the push services of their browsers."""

from __future__ import annotations

from answerable.adapters.web_push.channel import WebPushChannel, vapid_key

__all__ = ["WebPushChannel", "vapid_key"]
