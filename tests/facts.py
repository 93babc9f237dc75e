"""What a message must state, in whatever words: field, place, value, limit, the command of the remedy."""

import re
from collections.abc import Iterable


def whole(fact: object) -> str:
    """A pattern for the fact as whole words and numbers: `row 3` is not found in `row 30`, nor 1 in 1,000."""
    return rf"(?<!\w)(?<!\d[.,]){re.escape(str(fact))}(?!\w|[.,]\d)"


def stating(*facts: object) -> str:
    """A pattern for `pytest.raises(match=...)`: all facts occur, in any order."""
    return r"(?s)\A" + "".join(f"(?=.*{whole(fact)})" for fact in facts)


def states(found: str | Iterable[str], *facts: object) -> None:
    """Fail unless the text, or one of the texts, states all facts."""
    texts = [found] if isinstance(found, str) else list(found)
    missing = [[fact for fact in facts if not re.search(whole(fact), text)] for text in texts]
    report = [f"{text!r} does not state {', '.join(map(repr, m))}" for text, m in zip(texts, missing, strict=True)]
    assert [] in missing, "\n".join(report) or "nothing was found"
