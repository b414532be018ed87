"""The endpoint that receives button clicks from a chat (Slack)."""
