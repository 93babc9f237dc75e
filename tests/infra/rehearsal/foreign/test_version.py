import pytest

from infra.rehearsal.foreign.version import satisfies


@pytest.mark.parametrize(
    "constraint",
    ["", "6.50.0", "= 6.50.0", "~> 6.0", "~> 6.50.0", "~> 6.49", "> 6", ">= 6.50, < 7.0.0", "!= 7.0", "<= 6.50.0"],
)
def test_a_version_satisfies(constraint: str) -> None:
    assert satisfies("6.50.0", constraint)


@pytest.mark.parametrize(
    "constraint", ["7.0.0", "~> 7.0", "~> 6.49.0", "~> 6.51", "> 6.50.0", ">= 6.1, < 6.50", "!= 6.50.0", "< 6"]
)
def test_a_version_does_not_satisfy(constraint: str) -> None:
    assert not satisfies("6.50.0", constraint)


def test_what_is_no_constraint_is_an_error() -> None:
    with pytest.raises(ValueError, match="latest"):
        satisfies("6.50.0", "latest")
