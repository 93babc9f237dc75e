"""Boosted trees scored by looking tables up, for a fraction of the time of walking them.

A tree's leaves are bits, numbered from the left. A node that sends a lead to the right rules out the leaves on its
left. What all nodes that ask for one feature rule out depends only on where its value lies among their thresholds, so
a table has it ready, a row for each place. The rows of all features, ANDed, leave the lead's leaf as the lowest bit:
no branch that a processor could guess wrongly. After QuickScorer, https://doi.org/10.1145/2766462.2767733
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Groups = Sequence[Sequence[int]]

NODE = np.dtype(
    [
        ("tree", "<i4"),
        ("feature", "<i4"),
        ("threshold", "<f8"),
        ("missing_left", "?"),
        ("left", "<i4"),  # within the tree; 0 is its root, and as a child no child: a leaf
        ("right", "<i4"),
        ("value", "<f8"),  # of a leaf
    ]
)
"""A node: a value of at most the threshold goes left. Trees follow one another, nodes in the order of their numbers."""
MAX_LEAVES = 16
"""Of one tree: bits of a table's cell."""
BLOCK = 512
"""Leads at once: what is made on the way stays in the processor's cache."""

_CELL = np.uint16
_bits = np.arange(1, 1 << MAX_LEAVES)
LOWEST = np.append(0, np.log2(_bits & -_bits)).astype(np.intp)
"""The place of a cell's lowest bit."""


def dump(nodes: npt.NDArray[np.void], base: float, slope: float, offset: float) -> str:
    """As text, for a model's metadata: nodes as NODE has them, the sum's start, and the calibration."""
    file = io.BytesIO()
    np.savez_compressed(file, nodes=nodes.astype(NODE), scale=np.array([base, slope, offset]))
    return base64.b64encode(file.getvalue()).decode()


class Trees:
    """Scores a matrix: `numbers` columns of numbers, then those of `groups`, in each of which at most one holds 1, the
    others 0. Safe to use from several threads.

    Raises ValueError, or what numpy raises, where `dumped` is not what `dump` gave, or does not fit the columns.
    """

    def __init__(self, dumped: str, numbers: int, groups: Groups, width: int) -> None:
        with np.load(io.BytesIO(base64.b64decode(dumped)), allow_pickle=False) as stored:
            nodes, (self._base, self._slope, self._offset) = stored["nodes"], stored["scale"].tolist()
        parts = [nodes[nodes["tree"] == tree] for tree in range(int(nodes["tree"].max()) + 1)]
        below, leaves = zip(*map(_numbered, parts), strict=True)
        left_leaves, self._leaves = np.concatenate(below), np.concatenate(leaves)
        self._first = np.arange(len(parts)) * MAX_LEAVES  # of its leaves, for each tree
        self._ones = np.ones(len(parts))  # a product with which is a quick sum
        asks = nodes["left"] > 0
        nodes, left_leaves = nodes[asks], left_leaves[asks]
        if not ((nodes["feature"] >= 0) & (nodes["feature"] < width)).all():
            raise ValueError(f"the trees ask for columns that a matrix {width} wide lacks")
        self._numbers, tables = numbers, []
        self._places: list[Matrix] = []
        for column in range(numbers):
            mine = nodes["feature"] == column
            # Behind the last threshold lie all greater values, and behind those NaN, which sorts after infinity.
            places = np.append(np.unique(nodes["threshold"][mine]), np.inf)
            table = np.full((len(places) + 1, len(parts)), ~_CELL(0))
            for node, ruled_out in zip(nodes[mine], left_leaves[mine], strict=True):
                right = slice(places.searchsorted(node["threshold"]) + 1, len(places) + (not node["missing_left"]))
                table[right, node["tree"]] &= ~ruled_out
            self._places.append(places)
            tables.append(table)
        self._codes = np.zeros((width - numbers, len(groups)))  # of a group: which column holds 1, from 1; 0: none
        for group, columns in enumerate(groups):
            table = np.full((len(columns) + 1, len(parts)), ~_CELL(0))
            codes = np.arange(len(columns) + 1)
            for code, column in enumerate(columns, 1):
                self._codes[column - numbers, group] = code
                mine = nodes["feature"] == column
                for node, ruled_out in zip(nodes[mine], left_leaves[mine], strict=True):
                    table[(codes == code) > node["threshold"], node["tree"]] &= ~ruled_out
            tables.append(table)
        self._tables = np.concatenate(tables)
        self._starts = np.cumsum(np.array([0, *map(len, tables[:-1])]))[:, np.newaxis]

    def score(self, matrix: Matrix) -> Matrix:
        """The calibrated probability of each row."""
        margins = np.empty(len(matrix))
        for start in range(0, len(matrix), BLOCK):
            block = matrix[start : start + BLOCK]
            rows = np.empty((len(self._starts), len(block)), np.intp)
            numbers = np.ascontiguousarray(block[:, : self._numbers].T)
            for row, places, column in zip(rows, self._places, numbers, strict=False):
                row[:] = places.searchsorted(column)
            rows[self._numbers :] = (block[:, self._numbers :] @ self._codes).T
            rows += self._starts
            # Features come first, then leads, then trees: so a feature's cells are ANDed for many leads in one stretch.
            # No index lies outside: "clip" saves the look.
            left: npt.NDArray[np.uint16] = np.bitwise_and.reduce(self._tables.take(rows, axis=0, mode="clip"), axis=0)
            leaves = LOWEST.take(left, mode="clip")
            leaves += self._first
            margins[start : start + BLOCK] = self._leaves.take(leaves, mode="clip") @ self._ones
        # 1 / (1 + exp(x)), which overflows for no x.
        scores: Matrix = np.exp(-np.logaddexp(0, self._slope * (margins + self._base) + self._offset))
        return scores


def _numbered(nodes: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.uint16], Matrix]:
    """Of one tree's nodes the leaves that each has on its left, as bits; and the leaves' values from the left."""
    left_leaves, values = np.zeros(len(nodes), np.int64), np.zeros(MAX_LEAVES)
    count, waiting = 0, [(0, False)]
    while waiting:
        place, seen = waiting.pop()
        node = nodes[place]
        if not node["left"]:
            if count == MAX_LEAVES:
                raise ValueError(f"a tree has more than {MAX_LEAVES} leaves")
            values[count] = node["value"]
            count += 1
        elif seen:  # its left branch is numbered: from where it began to here
            left_leaves[place] = (1 << count) - left_leaves[place]
        else:
            left_leaves[place] = 1 << count
            waiting += [(node["right"], False), (place, True), (node["left"], False)]
    return left_leaves.astype(_CELL), values
