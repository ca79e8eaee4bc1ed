"""What displays share of what they draw: pipelines, checks, and words."""

from collections.abc import Sequence
from itertools import takewhile
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

#: Letters of a feature's name that are shown at most.
MAX_LETTERS = 24


def split_pipeline(display: type, estimator: Any, needs: str) -> tuple[Any, Any]:
    """Return what comes before a fitted encoder, or None, and the encoder.

    Parameters
    ----------
    display : type
        For messages.
    estimator : estimator
        The encoder, or a pipeline that ends in it.
    needs : str
        An attribute that it must have.

    Raises
    ------
    TypeError
        If it has not.
    NotFittedError
        If it is not fitted.
    """
    before, encoder = None, estimator
    if isinstance(estimator, Pipeline):
        encoder = estimator[-1]
        before = estimator[:-1] if len(estimator) > 1 else None
    check_is_fitted(encoder)
    if not hasattr(encoder, needs):
        ends = "" if encoder is estimator else "a pipeline that ends in "
        raise TypeError(
            f"{display.__name__} requires a fitted encoder with {needs}, or a pipeline "
            f"that ends in one; got {ends}{type(encoder).__name__}."
        )
    return before, encoder


def encoder_input(before: Any, X: Any) -> Any:
    """Return what the encoder sees of rows."""
    return X if before is None else before.transform(X)


def in_units(before: Any, rows: Any) -> NDArray[Any]:
    """Return rows that the encoder gave in the units of the pipeline's data."""
    if before is None:
        return np.asarray(rows)
    if not hasattr(before, "inverse_transform"):
        names = ", ".join(type(step).__name__ for _, step in before.steps)
        raise ValueError(
            "To draw rows in the units of X each step before the encoder must have "
            f"inverse_transform; got the steps {names}. Give the last step alone, with "
            "rows as it sees them."
        )
    return np.asarray(before.inverse_transform(rows))


def encoder_feature_names(before: Any, encoder: Any) -> Any:
    """Return the names of the features that the encoder sees; None if not known."""
    if before is None:
        return getattr(encoder, "feature_names_in_", None)
    try:
        return before.get_feature_names_out()
    except (AttributeError, ValueError):  # a step has none
        return None


def check_feature_names(given: Any, found: Any, n_features: int) -> NDArray[Any]:
    """Return a name for each feature: those given, those found, or x0, x1, ...

    Raises
    ------
    ValueError
        If there are more or fewer than features.
    """
    names = found if given is None else given
    if names is None:
        return np.array([f"x{i}" for i in range(n_features)], dtype=object)
    names = np.asarray(names, dtype=object)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must be a name for each of {n_features} features; got "
            f"shape {names.shape}."
        )
    return names


def check_image_shape(image_shape: Any, n_features: int) -> tuple[int, ...] | None:
    """Return the shape of images, checked against the number of features.

    Raises
    ------
    ValueError
        If it is not (height, width) or (height, width, 3), or of another size.
    """
    if image_shape is None:
        return None
    shape = tuple(int(n) for n in np.atleast_1d(image_shape))
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if not is_image or int(np.prod(shape)) != n_features:
        raise ValueError(
            "image_shape must be (height, width), or (height, width, 3) for colours, "
            f"of {n_features} features in all; got {image_shape!r}."
        )
    return shape


def check_component(component: Any, k: int, name: str) -> int:
    """Return the index of a latent.

    Raises
    ------
    ValueError
        If it is none of the k latents of the encoder of that name.
    """
    whole = isinstance(component, int | np.integer) and not isinstance(component, bool)
    if not whole or not 0 <= component < k:
        raise ValueError(
            f"A component must be one of the {k} latents of {name}, counted from 0; "
            f"got {component!r}."
        )
    return int(component)


def check_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raise ValueError if a value is none of the options."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}; got {value!r}.")


def latent_label(name: str, shares: Any, component: int) -> str:
    """Return what an axis of a latent says: its number, and its share of variance."""
    share = "" if shares is None else f" ({100 * shares[component]:.1f}%)"
    return f"{name} {component}{share}"


def score_name(encoder: Any) -> str:
    """Return what ``encoder.score`` is, in words."""
    if hasattr(encoder, "sample"):
        return "log-likelihood bound (nats per row)"
    of_rows = getattr(encoder, "loss", "squared_error") == "squared_error"
    return f"share of {'variance' if of_rows else 'deviance'} explained"


def shortened(names: Any) -> list[str]:
    """Return names of at most `MAX_LETTERS`, for the same place as many long ones.

    What all have in common at either end is left out first, and then the middle.
    """
    texts = [str(name) for name in names]
    if max(map(len, texts), default=0) <= MAX_LETTERS:
        return texts
    if len(set(texts)) > 1:
        start = _n_shared(texts)
        texts = [f"…{text[start:]}" if start > 3 else text for text in texts]
        end = _n_shared([text[::-1] for text in texts])
        texts = [f"{text[:-end]}…" if end > 3 else text for text in texts]
    last = MAX_LETTERS // 3
    return [
        text
        if len(text) <= MAX_LETTERS
        else f"{text[: MAX_LETTERS - 1 - last]}…{text[-last:]}"
        for text in texts
    ]


def _n_shared(texts: Sequence[str]) -> int:
    """Return how many letters all texts begin with in common."""
    pairs = zip(min(texts), max(texts), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def in_digits(value: float) -> str:
    """Return a number with three digits, or more where it is large."""
    large = 1000 <= abs(value) < 1e6
    return f"{value:.0f}" if large else f"{value:.3g}"


def in_lines(label: str) -> str:
    """Return the label of a vertical axis in lines that fit a small figure."""
    return fill(label, MAX_LETTERS + 4, break_on_hyphens=False)
