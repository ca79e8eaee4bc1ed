"""What principal component analysis finds of rows."""

from dataclasses import dataclass

from ._scale import Array


@dataclass(frozen=True)
class PrincipalAxes:
    """What PCA finds.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
    components : ndarray of shape (rank, n_features)
        With the signs of :class:`sklearn.decomposition.PCA`.
    variance : ndarray of shape (rank,)
        Along each, with n - 1.
    left_over : float
        The variance along all others, summed.
    """

    mean: Array
    components: Array
    variance: Array
    left_over: float
