import numpy as np

from service.lifecycle.training.columns_alone import judge_alone


def test_a_number_of_few_leads_is_not_named_in_what_is_said_of_a_column() -> None:
    target, amount = np.zeros(1_000, np.int8), np.full(1_000, np.nan)
    target[:300] = 1
    amount[:100] = 1_000 + np.arange(100) / 7
    found = judge_alone(amount, target)
    assert found
    assert found.why == "of the 100 leads with a filled cell 100% converted, of the others 22%"


def test_a_number_that_many_leads_share_is_named_where_all_others_converted() -> None:
    target, amount = np.zeros(1_000, np.int8), np.zeros(1_000)
    target[:300] = 1
    amount[:100] = 1_000 + np.arange(100) / 7
    found = judge_alone(amount, target)
    assert found
    assert "another value than 0 " in found.why
