"""The names of the columns."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.lifecycle.querying.views import names
from service.lifecycle.relations.columns import FIXED, InputKind, input_column

KINDS = st.sampled_from(["number", "text", "boolean"])
FIELDS = st.sampled_from(["visits", "Visits", "score", "number:visits", "TIME", "é", "É", ""]) | st.text(max_size=4)


def columns(*fields: tuple[InputKind, str]) -> list[str]:
    return [*FIXED.names, *(input_column(kind, name) for kind, name in fields)]


def test_a_field_has_its_own_name_unless_two_columns_would_have_it() -> None:
    found = names(
        columns(("number", "visits"), ("text", "Region"), ("text", "Score"), ("number", "age"), ("text", "age"))
    )
    shown = list(found.values())[len(FIXED) :]
    assert shown == ["number:age", "Region", "text:^score", "text:age", "visits"]


@given(st.lists(st.tuples(KINDS, FIELDS), unique=True))
@settings(deadline=None, max_examples=200)
def test_no_two_columns_have_one_name_whatever_the_case(fields: list[tuple[InputKind, str]]) -> None:
    given_columns = columns(*fields)
    found = names(given_columns)
    assert set(found) == set(given_columns)
    assert len({name.casefold() for name in found.values()}) == len(found)
    assert "" not in found.values()
