import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model import trees
from service.model.trees import NODE, Matrix, Trees
from tests.facts import stating

NUMBERS, GROUPS, WIDTH = 2, [[2, 3], [4, 5, 6]], 7
VALUES = [-1e300, -1.0, -0.0, 0.0, 0.1, 0.5, 1.0, math.nextafter(1.0, 2.0), 7.0, 1e300]


@st.composite
def forests(draw: Any) -> npt.NDArray[np.void]:
    """Trees grown by splitting leaves at random, of every shape up to MAX_LEAVES."""
    nodes = []
    for tree in range(draw(st.integers(1, 4))):
        grown = [[tree, 0, 0.0, False, 0, 0, draw(st.floats(-5, 5))]]
        for _ in range(draw(st.integers(0, trees.MAX_LEAVES - 1))):
            leaf = draw(st.sampled_from([node for node in grown if not node[4]]))
            feature = draw(st.integers(0, WIDTH - 1))
            threshold = draw(st.sampled_from(VALUES) if feature < NUMBERS else st.floats(0, 1, exclude_max=True))
            leaf[1:6] = [feature, threshold, draw(st.booleans()), len(grown), len(grown) + 1]
            grown += [[tree, 0, 0.0, False, 0, 0, draw(st.floats(-5, 5))] for _ in range(2)]
        nodes += grown
    return np.array([tuple(node) for node in nodes], NODE)


@st.composite
def matrices(draw: Any) -> Matrix:
    rows = draw(st.integers(0, 5))
    matrix = np.zeros((rows, WIDTH))
    for row in matrix:
        row[:NUMBERS] = [draw(st.sampled_from([*VALUES, math.nan])) for _ in range(NUMBERS)]
        for group in GROUPS:
            if (hot := draw(st.none() | st.sampled_from(group))) is not None:
                row[hot] = 1.0
    return matrix


def walked(nodes: npt.NDArray[np.void], row: Matrix) -> float:
    """The margin as the trees say, node by node."""
    total = 0.0
    for tree in range(int(nodes["tree"].max()) + 1):
        mine = nodes[nodes["tree"] == tree]
        node = mine[0]
        while node["left"]:
            value = row[node["feature"]]
            left = node["missing_left"] if math.isnan(value) else value <= node["threshold"]
            node = mine[node["left"] if left else node["right"]]
        total += node["value"]
    return total


@given(forests(), matrices(), st.floats(-3, 3), st.floats(-3, 3))
def test_tables_score_as_the_trees_when_walked(
    nodes: npt.NDArray[np.void], matrix: Matrix, base: float, offset: float
) -> None:
    made = Trees(trees.dump(nodes, base, -1.1, offset), NUMBERS, GROUPS, WIDTH)
    expected = [1 / (1 + math.exp(-1.1 * (walked(nodes, row) + base) + offset)) for row in matrix]
    np.testing.assert_allclose(made.score(matrix), np.array(expected), rtol=1e-12)


def stump(**changed: object) -> npt.NDArray[np.void]:
    root = {"tree": 0, "feature": 0, "threshold": 1.0, "missing_left": False, "left": 1, "right": 2, "value": 0.0}
    leaves = [(0, 0, 0.0, False, 0, 0, value) for value in (-2.0, 3.0)]
    return np.array([tuple({**root, **changed}.values()), *leaves], NODE)


def test_more_leads_than_a_block_are_scored_in_their_order() -> None:
    numbers = np.arange(2 * trees.BLOCK + 3) % 3
    matrix = np.zeros((len(numbers), WIDTH))
    matrix[:, 0] = numbers
    low, high = 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-3))
    scores = Trees(trees.dump(stump(), 0, -1, 0), NUMBERS, GROUPS, WIDTH).score(matrix)
    np.testing.assert_allclose(scores, np.where(numbers > 1, high, low))


def test_the_largest_margins_give_probabilities() -> None:
    made = Trees(trees.dump(stump(), 1e6, -1e6, 0), NUMBERS, GROUPS, WIDTH)
    assert made.score(np.zeros((1, WIDTH))).tolist() == [1.0]
    made = Trees(trees.dump(stump(), -1e6, -1e6, 0), NUMBERS, GROUPS, WIDTH)
    assert made.score(np.zeros((1, WIDTH))).tolist() == [0.0]


def test_trees_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=stating("columns", "matrix 7 wide")):
        Trees(trees.dump(stump(feature=7), 0, -1, 0), NUMBERS, GROUPS, WIDTH)


def test_a_tree_of_too_many_leaves_is_refused() -> None:
    count = trees.MAX_LEAVES + 1  # a comb
    nodes = [(0, 0, float(i), False, 2 * i + 1, 2 * i + 2, 0.0) for i in range(count - 1)]
    comb: list[Any] = [(0, 0, 0.0, False, 0, 0, 1.0)] * (2 * count - 1)
    for i, node in enumerate(nodes):
        comb[2 * i] = node
    with pytest.raises(ValueError, match="more than 16 leaves"):
        Trees(trees.dump(np.array(comb, NODE), 0, -1, 0), NUMBERS, GROUPS, WIDTH)


@pytest.mark.parametrize("dumped", ["", "no base64", "AAAA"])
def test_what_is_no_dump_is_refused(dumped: str) -> None:
    with pytest.raises((ValueError, EOFError)):
        Trees(dumped, NUMBERS, GROUPS, WIDTH)
