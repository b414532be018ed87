"""Run containment drills and write containment reports."""
