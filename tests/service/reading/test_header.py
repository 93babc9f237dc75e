import pytest

from service.reading.header import Header, told_apart


@pytest.mark.parametrize(("name", "place"), [("a", 1), ("A", 0), ("b ", 2), ("c", None), ("d", None), ("e", 5)])
def test_a_column_is_found_by_its_name_else_by_the_only_one_alike(name: str, place: int | None) -> None:
    assert Header(["A", "a", "B", "C", "c ", "e", "e"]).place_of(name) == place


def test_columns_without_a_name_of_their_own_are_called_by_their_place() -> None:
    assert told_apart(["a", "", "a", "b", ""]) == ["a", "column 2", "column 3 (a again)", "b", "column 5"]


def test_a_header_of_very_many_columns_is_read_in_linear_time() -> None:
    names = [str(place) for place in range(1_000_000)]  # in quadratic time: hours
    assert told_apart(names) == names


def test_a_column_is_doubtful_where_several_are_called_so() -> None:
    header = Header(["A", "a", "B", "b ", "c", "c"])
    assert [header.is_doubtful(name) for name in ("a", "A", "b", "B", "c", "d")] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
