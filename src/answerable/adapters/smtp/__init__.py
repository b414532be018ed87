"""Send messages to approvers by e-mail."""

from __future__ import annotations

from answerable.adapters.smtp.channel import SmtpChannel, SmtpServer

__all__ = ["SmtpChannel", "SmtpServer"]
