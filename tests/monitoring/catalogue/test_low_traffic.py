"""Whether the numbers tell a fifth of few requests from a stray failure."""

from math import comb

from monitoring.catalogue.low_traffic import FEW, MANY, SHARE

REQUESTS = 50  # a day


def told(share: float, requests: int = REQUESTS) -> float:
    """The chance that a day of so many requests, each failing with this chance, has enough failures."""
    least = max(FEW, int(SHARE * requests) + 1)
    return 1 - sum(comb(requests, k) * share**k * (1 - share) ** (requests - k) for k in range(least))


def test_a_fifth_of_the_requests_of_a_day_is_told_nearly_always() -> None:
    assert told(0.2) > 0.99


def test_stray_failures_are_told_once_in_years() -> None:
    assert told(0.005) * 365 * 10 < 1  # five times what is promised: less than once in ten years
    assert told(0.01) * 365 < 1


def test_from_so_many_requests_on_a_page_tells_of_a_fifth() -> None:
    assert MANY / 24 * 6 * 0.2 >= 10  # minimum_bad of the availability's burn rates
