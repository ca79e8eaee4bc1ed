"""Data as users have it, to batches: one class a storage."""

from ._axes import PrincipalAxes
from ._batches import (
    AugmentedRows,
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
    WordDropout,
    n_batches,
)
from ._columns import check_columns
from ._dense import DenseRows, as_rows
from ._gaps import GappedRows
from ._later_targets import TargetKind, differ
from ._reservoir import Reservoir
from ._rows import Indices, Part, Rows
from ._scale import (
    Array,
    Scale,
    dense,
    is_typical,
    least_divisor,
    row_slices,
    squared_norms,
)
from ._sparse import sparse_batch
from ._storage import rows_of
from ._targets import Targets, targets_of
from ._weights import Merged, Weights, mean_of, means_of, merge, quantiles
