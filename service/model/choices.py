"""Cells that hold several choices, such as "Webinar;Newsletter": split here, for training, scoring and words alike."""

from collections.abc import Iterable

from service.model.spelling import clean

SEPARATORS = ";|,"
"""Marks that CRMs write between choices, the least ambiguous first."""


def parted(cell: str, separator: str) -> list[str]:
    """The choices, without blanks around them and each once, in an order that does not depend on the cell's."""
    # What `clean` writes as the separator, as U+037E for a semicolon, is one.
    return sorted({choice for part in clean(cell).split(separator) if (choice := part.strip())})


def joined(choices: Iterable[str], separator: str) -> str:
    """The cell that holds these choices, in the order of `parted`; "" without one."""
    return separator.join(sorted(set(choices)))
