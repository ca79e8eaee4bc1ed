"""Data as users have it, to batches: one class a storage."""

from ._batches import (
    CorruptedInputs,
    EachOnce,
    HeldOutRows,
    Inputs,
    LatentNoise,
    NestedDropout,
    RowsInOrder,
    Shuffled,
    StackedRows,
    TrainingRows,
    n_batches,
)
from ._columns import check_columns
from ._dense import DenseRows, as_rows, rows_of
from ._gaps import GappedRows
from ._rows import Indices, Part, Rows
from ._scale import Array, Scale, is_typical, row_slices, squared_norms
from ._targets import Targets, targets_of
from ._weights import Merged, Weights, mean_of, means_of, merge, quantiles, with_labels
