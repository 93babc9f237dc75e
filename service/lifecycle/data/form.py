"""How the files of a source write their leads."""

from dataclasses import dataclass

from service.lifecycle.data.source import ID_COLUMN, Source
from service.model.spelling import Mark


@dataclass(frozen=True)
class Form:
    """How the files write their leads. `missing` are texts that mean "missing", by column."""

    id_column: str = ID_COLUMN
    delimiter: str | None = None
    decimal: Mark | None = None
    missing: tuple[str, ...] = ()
    missing_in: tuple[tuple[str, tuple[str, ...]], ...] = ()
    encoding: str | None = None
    sheet: str | None = None

    def absent(self, column: str) -> frozenset[str]:
        """What means "missing" in this column, beside a blank cell."""
        return frozenset((*self.missing, *dict(self.missing_in).get(column, ())))


def form_of(source: Source | None, id_column: str | None = None, trained_with: str | None = None) -> Form:
    """The form of this source's files; `id_column` overrides the source's, and that the one of the training."""
    if source is None:
        return Form(id_column or trained_with or ID_COLUMN)
    named = tuple((name, _texts(markers)) for name, markers in source.missing_in.items())
    return Form(
        id_column or source.lead_id,
        source.delimiter,
        source.decimal,
        _texts(source.missing),
        named,
        source.encoding,
        source.sheet,
    )


def _texts(markers: tuple[str | float, ...]) -> tuple[str, ...]:
    return tuple(marker for marker in markers if isinstance(marker, str))
