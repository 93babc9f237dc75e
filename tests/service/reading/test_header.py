from service.reading.header import told_apart


def test_columns_without_a_name_of_their_own_are_called_by_their_place() -> None:
    assert told_apart(["a", "", "a", "b", ""]) == ["a", "column 2", "column 3 (a again)", "b", "column 5"]


def test_a_header_of_very_many_columns_is_read_in_linear_time() -> None:
    names = [str(place) for place in range(1_000_000)]  # in quadratic time: hours
    assert told_apart(names) == names
