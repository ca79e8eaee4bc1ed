"""How long to train, and which state to keep: held-out rows say it."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from tqdm.auto import tqdm

from ._scaling import ScaledRows
from ._selection import Indices, Judge, Plan
from ._training import Objective, Run, TrainingOptions, check_callbacks, strip
from .nn import LastLayer

#: Builds a module at its start, as the rows with these indices give it.
Builder = Callable[[Indices | slice], nn.Module]

ALL = slice(None)

#: With which ridges the decoder's last layer is solved in the end, to choose from.
RIDGES = (0.1, 0.01)


@dataclass
class Trained:
    """A net in the state that was kept, and how it got there.

    Attributes
    ----------
    net : skorch.NeuralNet
        The net.
    best_iteration : int
        The epoch of that state; 0 is the start.
    loss_curve : list of float
        The training loss of each epoch.
    validation_scores : list of float or None
        The held-out rows' score, before training and after each epoch.
    judged : list of (nn.Module, indices)
        Modules in the state of that epoch, and the rows held out of their training.
    ridge : float or None
        With which the decoder's last layer was solved after that epoch.
    """

    net: Any
    best_iteration: int = 0
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] | None = None
    judged: list[tuple[nn.Module, Indices]] = field(default_factory=list)
    ridge: float | None = None


def train(
    build: Builder,
    objective: Objective,
    x: ScaledRows,
    plan: Plan,
    options: TrainingOptions,
) -> Trained:
    """Train the module that `build` makes and keep its best state.

    Parameters
    ----------
    build : callable
        ``build(indices)`` returns a float32 module at its start.
    objective : Objective
        What to train it for.
    x : ScaledRows of shape (n_samples, n_features)
        The rows.
    plan : Plan
        The rows held out of it.
    options : TrainingOptions
        The rest.

    Raises
    ------
    ValueError
        If the training loss becomes non-finite and there are no held-out rows to say
        which earlier state was good.
    """
    check_callbacks(options.callbacks)
    if plan.splits:
        trained = _search(build, objective, x, plan, options)
        if plan.refit:
            again = _train_on_all(
                build, objective, x, trained.best_iteration, options, trained.ridge
            )
            trained.net = again.net
    else:
        n_epochs = options.max_iter if plan.refit else 0
        trained = _train_on_all(build, objective, x, n_epochs, options)
    strip(trained.net)
    return trained


def _train_on_all(
    build: Builder,
    objective: Objective,
    x: ScaledRows,
    n_epochs: int,
    options: TrainingOptions,
    ridge: float | None = None,
) -> Trained:
    """Train on all rows for one cycle of `n_epochs`."""
    run = Run(build(ALL), objective, (x, None), n_epochs, options, options.callbacks)
    trained = Trained(run.net)
    if n_epochs == 0:
        return trained
    ruler = objective.ruler(run.some)
    before = run.loss_now()
    with run.training(), _progress("training", n_epochs, options) as show:
        for epoch in range(1, n_epochs + 1):
            go_on = run.epoch()
            trained.best_iteration = epoch
            if not run.finished:
                break
            loss = run.train_loss
            trained.loss_curve.append(loss)
            if not math.isfinite(loss):
                raise ValueError(
                    f"The training loss became {loss} in epoch {epoch} at "
                    f"learning_rate={options.learning_rate}; a smaller one is wanted."
                )
            show(ruler.score(loss * x.shape[1]), None)
            if not go_on:
                break
        if ridge is not None and LastLayer.can_solve(run.net.module_):
            run.last_layer().solve(ridge)
    # The loss of the last step is that before it: whether it went well shows only now.
    after = run.loss_now()
    if not after < before + 1e6 * max(1.0, abs(before)):
        raise ValueError(
            f"Training at learning_rate={options.learning_rate} ended with a loss of "
            f"{after:.3g}, far above the {before:.3g} of the start; a smaller "
            "learning_rate is wanted."
        )
    return trained


def _search(
    build: Builder,
    objective: Objective,
    x: ScaledRows,
    plan: Plan,
    options: TrainingOptions,
) -> Trained:
    """Train on every split, in step, until the held-out rows see no more gain.

    The net returned is in its best state if there is one split, and of no use if
    there are more.
    """
    runs = _runs(build, objective, x, plan, options)
    start = np.concatenate([run.errors_now() for run in runs])
    ruler = objective.ruler(*(run.held_out.x for run in runs))
    _check_start(start)
    judge = Judge(start, ruler, options.n_iter_no_change, options.tol)
    modules = [run.net.module_ for run in runs]
    trained = Trained(
        runs[0].net,
        validation_scores=judge.scores,
        judged=[(m, rows) for m, (_, rows) in zip(modules, plan.splits, strict=True)],
    )
    if judge.exact:
        return trained
    label = "choosing epochs" if plan.refit else "training"
    kept = {0: [run.state() for run in runs]}
    with _all_training(runs), _progress(label, options.max_iter, options) as show:
        for epoch in range(1, options.max_iter + 1):
            wishes = [run.epoch() for run in runs]
            if not all(run.finished for run in runs):
                break
            trained.loss_curve.append(float(np.mean([run.train_loss for run in runs])))
            best = judge.see(np.concatenate([run.errors() for run in runs]))
            show(ruler.score(trained.loss_curve[-1] * x.shape[1]), judge.scores[-1])
            if best:
                kept = {0: kept[0], epoch: [run.state() for run in runs]}
            if (
                judge.done
                or not all(wishes)
                or not math.isfinite(trained.loss_curve[-1])
            ):
                break
        # Callbacks see the model that is kept when training ends.
        trained.best_iteration = judge.verdict()
        for module, state in zip(modules, kept[trained.best_iteration], strict=True):
            module.load_state_dict(state)
        if trained.best_iteration:
            trained.ridge = _solve_last_layers(runs, judge)
    if not all(map(math.isfinite, trained.loss_curve)):
        _warn_of_divergence(trained, options)
    return trained


def _runs(
    build: Builder,
    objective: Objective,
    x: ScaledRows,
    plan: Plan,
    options: TrainingOptions,
) -> list[Run]:
    """Return a run for each split, at its start."""
    # A model that is kept starts from all rows. So does then the start it is compared
    # with, which has seen the held-out rows: a handicap, small where rows are many.
    return [
        Run(
            build(train if plan.refit else ALL),
            objective,
            (x[train], x[held_out]),
            options.max_iter,
            options,
            None if plan.refit else options.callbacks,
        )
        for train, held_out in plan.splits
    ]


def _solve_last_layers(runs: Sequence[Run], judge: Judge) -> float | None:
    """Solve the decoders' last layers, if held-out rows gain; return with which ridge.

    Training comes close to these weights, the closer the longer it takes.
    """
    if not all(LastLayer.can_solve(run.net.module_) for run in runs):
        return None
    layers = [run.last_layer() for run in runs]
    tried = {}
    for ridge in RIDGES:
        for layer in layers:
            layer.solve(ridge)
        tried[ridge] = np.concatenate([run.errors_now() for run in runs])
    best = min(tried, key=lambda ridge: float(tried[ridge].mean()))
    if not judge.prefers(tried[best]):
        for layer in layers:
            layer.undo()
        return None
    for layer in layers:
        layer.solve(best)
    return best


def _check_start(errors: NDArray[np.float64]) -> None:
    if not np.isfinite(errors).all():
        raise ValueError(
            "The reconstruction is not finite before training; an encoder or decoder "
            "of your own must map finite rows to finite values."
        )


def _warn_of_divergence(trained: Trained, options: TrainingOptions) -> None:
    warnings.warn(
        f"The training loss became {trained.loss_curve[-1]} in epoch "
        f"{len(trained.loss_curve)} at learning_rate={options.learning_rate}; the "
        f"best earlier state is kept (epoch {trained.best_iteration}, where 0 is "
        "the start). A smaller learning_rate is wanted.",
        ConvergenceWarning,
        stacklevel=3,
    )


@contextmanager
def _all_training(runs: Sequence[Run]) -> Iterator[None]:
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(run.training())
        yield


@contextmanager
def _progress(
    label: str, n_epochs: int, options: TrainingOptions
) -> Iterator[Callable[[float, float | None], None]]:
    """Show a bar with epoch, scores and time, if `verbose`."""
    with tqdm(
        total=n_epochs, desc=label, unit="epoch", disable=not options.verbose
    ) as bar:

        def show(train_score: float, score: float | None) -> None:
            if bar.disable:
                return
            scores = {"train": f"{train_score:.4f}"}
            if score is not None:
                scores["validation"] = f"{score:.4f}"
            bar.set_postfix(scores, refresh=False)
            bar.update()

        yield show
