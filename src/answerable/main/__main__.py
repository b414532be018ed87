"""`python -m answerable.main`, as the server starts its witness."""

from answerable.main import run

run()
