"""A person gives an agent a task, with the command that a person would use."""

from __future__ import annotations

from narrator import UnexpectedError
from product import Product


async def issue(product: Product, template: str, *, by: str, **values: str) -> str:
    """Issue a mandate from a template, show what was signed, and return its id."""
    settings = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    key = str(product.home.key(by))
    # `--yes`, because nobody sits at this terminal; a person reads the same sentences and is asked.
    done = await product.command("mandate", "issue", template, *settings, "--as", by, "--key", key, "--yes")
    if len(done.out) != 1:
        raise UnexpectedError("one line with the id of the mandate", done.out)
    return done.out[0]
