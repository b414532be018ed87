"""Record people's answers to approvals, notify people, send attention checks, and report oversight figures."""
