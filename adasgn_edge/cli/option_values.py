"""What the words of an option say: numbers with commas between, as several commands take them."""

from __future__ import annotations

from typing import Any

__all__ = ["numbers"]


def numbers(text: str, kind: type, option: str, least: float = -(2**63)) -> tuple[Any, ...]:
    """The numbers of a comma-separated option; raises RecipeError for a word that is none, NaN, or out of 64 bits."""
    from adasgn_edge.errors import RecipeError
    from adasgn_edge.wording import shown

    try:
        found = tuple(kind(word) for word in text.split(","))
    except (ValueError, OverflowError):
        found = ()
    if not found or not all(least <= number < 2**63 for number in found):
        from_least = f" from {least:g}" if least >= 0 else ""
        raise RecipeError(f"{option}: expected numbers{from_least} with commas between, found {shown(text)}")
    return found
