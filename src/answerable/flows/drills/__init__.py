"""Run containment drills and report their results."""
