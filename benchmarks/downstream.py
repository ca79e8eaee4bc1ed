"""Downstream: what a classifier or regressor makes of the latents.

Each table is split into halves (stratified by class; at most 2000 rows of the first are
used for training), standardised, and reduced to k latents, k below the number of
features, by each method. On the latents of the training rows a linear model (logistic
or ridge, on standardised latents), five neighbours and a forest are fitted, and scored
on the test rows: accuracy, or R2. The table printed for each task has

- the mean score over cells (tables x k x splits), the number of cells in which it is
  more than 0.01 below PCA's, and in how many of these significantly (the mean paired
  difference of test rows' errors is more than 1.96 standard errors);
- the mean share of the test rows' variance that is left unexplained, and the share of
  cells in which it is below PCA's;
- the median of the processor time of a fit, as a multiple of Autoencoder's.

With ``--search``, each downstream model of a cell also has five folds of the training
rows choose among the methods: that of the best mean, and by `best_if_significant`.

Classification is of the `.npz` files (X, y) of a folder and of scikit-learn's own sets
(of which breast_cancer is in many a folder as wdbc); regression of what scikit-learn
and mlxtend ship, and of made-up rows.

    python benchmarks/downstream.py [FOLDER] [--tables digits wine] [--sizes 2 4 8]
        [--splits 2] [--models autoencoder lda] [--search] [--jobs 1] [--verbose]
"""

import argparse
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from mlxtend.data import autompg_data, boston_housing_data
from sklearn import datasets
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NeighborhoodComponentsAnalysis,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklatent
from sklatent.model_selection import best_if_significant

MAX_TRAIN = 2000
CLASSES = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
}


def auto_mpg():
    """Fuel use of cars, without their names."""
    X, y = autompg_data()
    return X[:, :7], y


def friedman1():
    """Five features that count, one by an interaction, and fifteen that do not."""
    return datasets.make_friedman1(1000, n_features=20, noise=1, random_state=0)


TARGETS = {
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "linnerud": lambda: datasets.load_linnerud(return_X_y=True),
    "boston": boston_housing_data,
    "auto_mpg": auto_mpg,
    "friedman1": friedman1,
    "friedman2": lambda: datasets.make_friedman2(1000, noise=50, random_state=0),
    "friedman3": lambda: datasets.make_friedman3(1000, noise=0.1, random_state=0),
}


def supervised(k, task, mixing):
    # Targets that happen to be whole numbers are no classes.
    kind = "auto" if task == "classification" else "continuous"
    return sklatent.SupervisedAutoencoder(
        k, mixing=mixing, target_type=kind, random_state=0
    )


def pcovr(k):
    from skmatter.decomposition import PCovR

    return PCovR(mixing=0.5, n_components=k, random_state=0)


# Of the number of latents, the task and the number of classes.
REDUCERS = {
    "pca": lambda k, *_: PCA(k, random_state=0),
    "autoencoder": lambda k, *_: sklatent.Autoencoder(k, random_state=0),
    "denoising": lambda k, *_: sklatent.DenoisingAutoencoder(k, random_state=0),
    "supervised": lambda k, task, _: supervised(k, task, 0.5),
    "supervised_auto": lambda k, task, _: supervised(k, task, "auto"),
    "pls": lambda k, *_: PLSRegression(k),
    "pcovr": lambda k, *_: pcovr(k),
    "lda": lambda k, _, n: LinearDiscriminantAnalysis(n_components=min(k, n - 1)),
    "nca": lambda k, *_: NeighborhoodComponentsAnalysis(k, random_state=0),
    "raw": lambda *_: FunctionTransformer(),
}
ONLY_CLASSES = {"lda", "nca"}
WANT_NUMBERS = {"pls", "pcovr"}
DOWNSTREAM = {
    "classification": {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "5-NN": KNeighborsClassifier(),
        "forest": RandomForestClassifier(random_state=0),
    },
    "regression": {
        "ridge": make_pipeline(StandardScaler(), Ridge()),
        "5-NN": KNeighborsRegressor(),
        "forest": RandomForestRegressor(random_state=0),
    },
}
SCORES = {"classification": "accuracy", "regression": "R2"}


def load_tables(folder, names):
    """Task, rows and targets of each table, by name."""
    files = {path.stem: path for path in sorted(Path(folder).glob("*.npz"))}
    tables = {}
    for name in names or [*files, *CLASSES, *TARGETS]:
        if name in TARGETS:
            tables[name] = ("regression", *TARGETS[name]())
        elif name in CLASSES:
            tables[name] = ("classification", *CLASSES[name](return_X_y=True))
        elif name in files:
            table = np.load(files[name])
            tables[name] = ("classification", table["X"], table["y"])
        else:
            raise SystemExit(f"no {name}.npz in {folder}, and no set of that name")
    return tables


def halves(task, X, y, seed):
    """Standardised training and test rows, and their targets."""
    X, stratify = X.astype(float), y if task == "classification" else None
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.5, random_state=seed, stratify=stratify
    )
    X_train, y_train = X_train[:MAX_TRAIN], y_train[:MAX_TRAIN]
    return standardised(X_train, y_train, X_test, y_test)


def standardised(X_train, y_train, X_test, y_test):
    scaler = StandardScaler().fit(X_train)
    return scaler.transform(X_train), y_train, scaler.transform(X_test), y_test


def target_of(name, task, X, y):
    """What a reducer is fitted to: numbers, for some, in place of classes."""
    if name not in WANT_NUMBERS:
        return y
    if task == "classification":
        y = (y[:, None] == np.unique(y)).astype(float)
    y = y - y.mean(axis=0)
    # PCovR mixes rows and targets as they come: as much variance in both.
    return y * np.sqrt(X.var(axis=0).sum() / y.var(axis=0).sum())


def row_errors(task, y, predicted):
    """Each row's error; their mean is 1 less the score."""
    if task == "classification":
        return (predicted != y).astype(float)
    left, total = np.square(y - predicted), np.square(y - y.mean(axis=0))
    return (left / total.mean(axis=0)).reshape(len(y), -1).mean(axis=1)


def apply(name, task, k, rows):
    """Fit one method; errors of test rows by model, variance left, seconds."""
    X, y, X_test, y_test = rows
    model = REDUCERS[name](k, task, len(np.unique(y)))
    start = time.process_time()
    model.fit(X, target_of(name, task, X, y))
    seconds = time.process_time() - start
    Z, Z_test = model.transform(X), model.transform(X_test)
    errors = {
        probe: row_errors(task, y_test, estimator.fit(Z, y).predict(Z_test))
        for probe, estimator in DOWNSTREAM[task].items()
    }
    left = np.nan
    if name != "raw" and hasattr(model, "inverse_transform"):
        left = np.square(X_test - model.inverse_transform(Z_test)).sum()
        left /= np.square(X_test - X.mean(axis=0)).sum()
    return errors, left, seconds


def against(errors, reference):
    """Score, gain over the reference, and the gain in its standard errors."""
    gains = reference - errors
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return 1 - errors.mean(), gains.mean(), gains.mean() / error if error else 0.0


def fold_scores(names, task, k, rows):
    """Scores of all methods on five folds of the training rows, by model."""
    X, y, *_ = rows
    kind = StratifiedKFold if task == "classification" else KFold
    scores = {probe: [] for probe in DOWNSTREAM[task]}
    for train, test in kind(5, shuffle=True, random_state=0).split(X, y):
        fold = standardised(X[train], y[train], X[test], y[test])
        errors = [apply(name, task, k, fold)[0] for name in names]
        for probe, found in scores.items():
            found.append([1 - of_one[probe].mean() for of_one in errors])
    return {probe: np.array(found) for probe, found in scores.items()}


def chosen(names, scores):
    """Which method the folds choose, by the best mean and if significant."""
    results = {f"split{i}_test_score": fold for i, fold in enumerate(scores)}
    results["params"] = [{"reduce": name} for name in names]
    return {
        "chosen: best mean": names[scores.mean(axis=0).argmax()],
        "chosen: significant": names[best_if_significant(results)],
    }


def evaluate(names, table, k, seed, search):
    """One cell: for each method its scores against PCA's, variance left, seconds."""
    warnings.simplefilter("ignore")
    task, X, y = table
    rows = halves(task, X, y, seed)
    names = [n for n in names if task == "classification" or n not in ONLY_CLASSES]
    found = {name: apply(name, task, k, rows) for name in names}
    cell = {
        name: (
            {p: against(errors[p], found["pca"][0][p]) for p in errors},
            left,
            seconds,
        )
        for name, (errors, left, seconds) in found.items()
    }
    for probe, scores in (fold_scores(names, task, k, rows) if search else {}).items():
        for rule, name in chosen(names, scores).items():
            by_probe, *_ = cell.setdefault(rule, ({}, np.nan, np.nan))
            by_probe[probe] = cell[name][0][probe]
    return cell


def summary(name, cells, probe):
    """Mean score, cells that are below PCA's, and those significantly."""
    score, gain, z = np.array([cell[name][0][probe] for cell in cells]).T
    below = gain < -0.01
    return f"{score.mean():11.3f}{below.sum():5}{(below & (z < -1.96)).sum():5}"


def fit_summary(name, cells):
    """Mean variance left, share of cells with less than PCA's, time of a fit."""
    left, base = (np.array([cell[n][1] for cell in cells]) for n in (name, "pca"))
    share = np.nan if np.isnan(left).any() else (left < base).mean()
    unknown = ({}, np.nan, np.nan)
    times = [cell[name][2] / cell.get("autoencoder", unknown)[2] for cell in cells]
    text = f"{left.mean():13.3f}{share:8.0%}{np.median(times):8.2f}"
    return text.replace("nan%", "   -").replace("nan", "  -")


def report(task, cells):
    """Print the table of one task."""
    probes = list(DOWNSTREAM[task])
    print(
        f"\n{task}, {len(cells)} cells: mean {SCORES[task]} on test rows, cells more "
        "than 0.01 below PCA, and significantly"
        f"\n{'':22}"
        + "".join(f"{probe:>11}{'<':>5}{'<<':>5}" for probe in probes)
        + f"{'unexplained':>13}{'< PCA':>8}{'time':>8}"
    )
    for name in cells[0]:
        scores = "".join(summary(name, cells, probe) for probe in probes)
        print(f"  {name:20}{scores}{fit_summary(name, cells)}")


def in_brief(where, cell):
    """One line of scores for each method."""
    for name, (scores, left, seconds) in cell.items():
        print(
            f"{where} {name:20}"
            + "".join(f"{score:8.3f} ({z:+5.1f})" for score, _, z in scores.values())
            + f"{left:8.3f}{seconds:8.2f} s",
            flush=True,
        )


def available(names):
    """The methods, PCA first, but for those that are not installed."""
    names = ["pca", *(name for name in names if name != "pca")]
    if "pcovr" in names and find_spec("skmatter") is None:
        print("pcovr is left out: skmatter is not installed")
        names.remove("pcovr")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="of .npz files", default=".")
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--sizes", nargs="+", type=int, default=[2, 4, 8])
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=list(REDUCERS), choices=REDUCERS)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    names = available(args.models)
    tables = load_tables(args.folder, args.tables)
    wanted = [
        (name, k, seed)
        for name, (_, X, _) in tables.items()
        for k in args.sizes
        if k < X.shape[1]
        for seed in range(args.splits)
    ]
    results = Parallel(n_jobs=args.jobs, return_as="generator")(
        delayed(evaluate)(names, tables[name], k, seed, args.search)
        for name, k, seed in wanted
    )
    cells = {task: [] for task in DOWNSTREAM}
    for (name, k, seed), cell in zip(wanted, results, strict=True):
        cells[tables[name][0]].append(cell)
        if args.verbose:
            in_brief(f"{name:16}{k:3}{seed:3}", cell)
    for task, found in cells.items():
        if found:
            report(task, found)


if __name__ == "__main__":
    main()
