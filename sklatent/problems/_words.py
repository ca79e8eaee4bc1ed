"""What the multinomial likelihood is of: shares of words, as sparse rows have them."""

from typing import Any

import numpy as np
from scipy.sparse import diags_array

from ..nn import Multinomial
from ..plan import share_of
from ..rows import Rows, mean_of
from ..starts import ProbabilisticStart, multinomial_start

#: Words come in bursts, so that they tell as much as so many times fewer would, drawn
#: one by one.
OVERDISPERSION = 2.0
#: With fewer words in each row latents would not be worth their nats.
MIN_WORDS = 20.0
#: Of the cells of a row, what the encoder is not shown in training.
SHARE_HIDDEN = 0.5


#: The values that parameters require, since the encoder sees coordinates of complete
#: rows of words and the decoder is linear.
REQUIRED = {
    "encoder": None,
    "decoder": None,
    "augmentation": None,
    "ordered": False,
    "missing": "error",
}


def check_for_words(given: Any) -> None:
    """Raise ValueError if a parameter is not what a likelihood of words requires."""
    for name, needed in REQUIRED.items():
        value = getattr(given, name)
        if np.ndim(value) or value != needed:
            raise ValueError(
                f"{name}={value!r} with likelihood='multinomial', which requires "
                f"{name}={needed!r}: its encoder sees coordinates of complete rows "
                "of words, and its decoder is linear."
            )
    if share_of(given.n_components) is not None:
        raise ValueError(
            f"n_components={given.n_components!r} with likelihood='multinomial', "
            "which requires an int or None."
        )


def multinomial_of(rows: Rows) -> Multinomial:
    r"""Return the likelihood of these rows.

    A row of weights `x` has as many words as Kish's effective sample size says,
    :math:`(\sum_j x_j)^2 / \sum_j x_j^2`; the mean over rows is that of all, less
    their overdispersion, but `MIN_WORDS` at least. So it does not depend on the unit of
    the weights.
    """
    X: Any = rows.in_units()
    sums = np.asarray(X.sum(axis=1, dtype=np.float64)).ravel()
    squares = np.asarray(X.multiply(X).sum(axis=1, dtype=np.float64)).ravel()
    has_words = squares > 0
    if not has_words.any():
        return Multinomial(MIN_WORDS, 1.0)
    sums, squares = sums[has_words], squares[has_words]
    weights = None if rows.weights is None else rows.weights[has_words]
    n_words = mean_of(sums**2 / squares, weights) / OVERDISPERSION
    return Multinomial(max(MIN_WORDS, n_words), mean_of(sums, weights))


def words_of(rows: Rows, likelihood: Multinomial) -> Any:
    """Return the number of each word in rows, sparse; rows have the same sum."""
    X = rows.in_units().astype(np.float64)
    sums = np.asarray(X.sum(axis=1)).ravel()
    factors = np.divide(
        likelihood.n_words, sums, out=np.zeros(len(sums)), where=sums > 0
    )
    return diags_array(factors).tocsr() @ X


def word_start(
    rows: Rows, likelihood: Multinomial, k: int, seed: int
) -> ProbabilisticStart:
    """Solve for the linear model of words."""
    return multinomial_start(rows, words_of(rows, likelihood), k, seed)
