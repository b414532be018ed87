"""People's answers to approvals, notification channels, attention checks and oversight figures."""
