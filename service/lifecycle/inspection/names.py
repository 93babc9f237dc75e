"""Words in the names of columns, by which roles are guessed."""

import re

from service.model.spelling import fold


def words(text: str) -> set[str]:
    """The words of a name in small letters: LeadId, lead_id and "Lead ID" hold lead and id."""
    split = re.sub(r"(?<=[a-zäöü])(?=[A-ZÄÖÜ])", " ", text)
    return set(re.findall(r"[^\W\d_]+", fold(split)))
