import re

from service.api.scorer import new_request_id


def test_a_request_id_has_96_bits_and_never_comes_twice() -> None:
    ids = [new_request_id() for _ in range(1_000)]  # more than are drawn at once
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in ids)
