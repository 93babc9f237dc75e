"""When a file's column cannot be the one that training read: hardly a cell of it says anything to the model."""

from collections.abc import Mapping

from service.model.reference import Categories, Reference

UNLIKE = 0.95
"""The share of a column's filled cells, unreadable, rare or new, from which on the column is unlike training's."""
USUAL = 0.05
"""A column in which training itself saw as many rare values is never unlike: names and titles are always new."""
LEAST_CELLS = 20
"""Filled cells below which nothing is said: a few leads may all be of a new kind."""


def rare_in_training(reference: Reference) -> Mapping[str, float]:
    """The share of rare values among the filled cells of each category at training."""
    return {
        column.name: column.rare / max(1, reference.leads - column.missing)
        for column in reference.features
        if isinstance(column, Categories)
    }


def is_unlike(filled: int, strange: int, rare: float = 0.0) -> bool:
    """Whether so many strange cells of so many filled ones are too many, where training had this share of rare ones."""
    return filled >= LEAST_CELLS and strange >= UNLIKE * filled and rare < USUAL


def unlike(filled: int, strange: int) -> str:
    """What is said of such a column."""
    return f"{strange:,} of {filled:,} filled cells hold nothing that training saw often enough to know"
