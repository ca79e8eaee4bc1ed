"""A new loss, and a new estimator, are one file each: this one."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch.testing import assert_close

from sklatent import Autoencoder
from sklatent._base import BaseLatentEncoder
from sklatent.nn import Batch, LastLayer, Loss
from sklatent.problems import ExplainedVariance, reconstruction_problem

# A new loss ----------------------------------------------------------------------


class AbsoluteError(Loss):
    """The mean absolute error, of which autograd knows the gradient."""

    def rows(self, output, batch):
        return (output - batch.target).abs().sum(dim=1)


# A new estimator: its parameters and its problem ----------------------------------


def absolute_score(*parts, weights=None):
    """The share of the mean absolute value that is explained of held-out rows."""
    total = torch.cat([x.cpu().double().abs().sum(dim=1) for x in parts])
    w = torch.ones_like(total) if weights is None else torch.cat(weights)
    return ExplainedVariance(float(w @ total / w.sum()))


class RobustAutoencoder(BaseLatentEncoder):
    """An autoencoder that outliers among the cells move little."""

    def __init__(self, n_components=None, *, random_state=None, max_iter=5):
        self.n_components = n_components
        self.random_state = random_state
        self.max_iter = max_iter

    # What this estimator leaves at one value is no parameter of it.
    hidden_layer_sizes = (16,)
    activation = "silu"
    init = "pca"
    whiten = ordered = warm_start = False
    encoder = decoder = callbacks = None
    learning_rate = batch_size = early_stopping = "auto"
    weight_decay = 1.0
    validation_fraction = 0.1
    cv = None
    n_iter_no_change = 20
    tol = 1e-3
    verbose = 0
    device = "cpu"

    def _problem(self, data, plan):
        return reconstruction_problem(
            data, plan, loss=AbsoluteError(), held_out_score=absolute_score
        )


def test_the_gradient_of_a_new_loss_is_autograds():
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(5, 3, generator=generator)
    batch = Batch(output, torch.randn(5, 3, generator=generator))
    value, grad = AbsoluteError().gradient(output, batch)
    assert_close(value, (output - batch.target).abs().mean())
    assert_close(grad, torch.sign(output - batch.target) / 15)


def heavy_tails(digits):
    """Digits with one cell in a hundred far off."""
    rng = np.random.default_rng(0)
    far = rng.uniform(size=digits.shape) < 0.01
    return np.where(far, 200 * rng.standard_normal(digits.shape), digits)


def test_a_new_estimator_is_one(digits):
    X = heavy_tails(digits)
    model = RobustAutoencoder(8, random_state=0, max_iter=30).fit(X)
    assert model.best_iteration_ > 0
    # Training goes the fast way: the network's gradient is written out.
    assert model.net_.module_.has_manual_backward
    pca, plain = PCA(8).fit(X), Autoencoder(8, random_state=0, max_iter=30).fit(X)
    errors = [
        np.abs(digits - m.inverse_transform(m.transform(digits))).mean()
        for m in (model, plain, pca)
    ]
    assert errors[0] < min(errors[1:])
    grid = GridSearchCV(RobustAutoencoder(), {"n_components": [1, 4]}, cv=2)
    assert grid.fit(digits[:300]).best_params_ == {"n_components": 4}
    assert clone(model).get_params() == model.get_params()


@parametrize_with_checks([RobustAutoencoder(1, max_iter=5)])
def test_scikit_learn_takes_it_for_one_of_its_own(estimator, check):
    check(estimator)


@pytest.mark.parametrize("loss", [None, AbsoluteError()])
def test_only_least_squares_have_a_last_layer_to_solve(digits, loss, monkeypatch):
    class Short(Autoencoder):
        def _problem(self, data, plan):
            return reconstruction_problem(data, plan, loss=loss)

    solved = []
    monkeypatch.setattr(LastLayer, "set", lambda *_: solved.append(1) or {})
    Short(4, hidden_layer_sizes=(16,), max_iter=2, random_state=0).fit(digits)
    assert bool(solved) == (loss is None)


def test_a_loss_that_knows_no_stacks_is_trained_one_model_after_the_other():
    """Its errors are of rows, each by its own fold; below 800 rows ours are stacked."""
    digits = load_digits().data
    model = RobustAutoencoder(4, random_state=0, max_iter=40).fit(digits[:300])
    assert len(model.held_out_scores_) == 300
    pca = PCA(4).fit(digits[:300])
    new = digits[300:]
    left = np.abs(new - pca.inverse_transform(pca.transform(new))).mean()
    assert model.best_iteration_ > 0
    assert np.abs(new - model.reconstruct(new)).mean() < 0.95 * left
