"""Missing cells as nodes of an ONNX graph: what `nn.Filling` fills them with."""

from typing import Any

import numpy as np
import onnx

from ..nn import FactorGaussian, FullGaussian, has_hooks
from ._graph import Graph
from ._networks import network


def filled(graph: Graph, filling: Any, x: str) -> str:
    """Return scaled rows (n, p) with their missing cells, NaN, filled."""
    if has_hooks(filling):
        raise NotImplementedError(
            "Hooks of what fills missing cells are not converted."
        )
    exact = graph.in_dtype(np.float64, lambda g, x: _filled(g, filling, x), x)
    return graph.node("Where", graph.node("IsNaN", x), exact, x)


def _filled(graph: Graph, filling: Any, x: str) -> str:
    """Return what missing cells are filled with, in all cells, in float64."""
    centred = graph.node("Sub", x, graph.constant(filling.mean))
    rows = graph.node("Div", centred, graph.constant(filling.unit))
    missing = graph.cast(graph.node("IsNaN", rows), graph.dtype)
    known = graph.node("Where", graph.node("IsNaN", rows), graph.constant(0.0), rows)
    conditional = _CONDITIONALS[type(filling.gaussian)]
    mean, variance = conditional(graph, filling.gaussian, known, missing)
    if filling.network is not None:
        # Rounding must not make a variance negative.
        positive = graph.node("Max", variance, graph.constant(0.0))
        deviation = graph.node("Sqrt", positive)
        added = _correction(graph, filling.network, mean, missing, deviation)
        mean = graph.node("Add", mean, graph.node("Mul", added, deviation))
    scaled = graph.times(mean, filling.unit)
    return graph.node("Add", scaled, graph.constant(filling.mean))


def _correction(
    graph: Graph, module: Any, mean: str, missing: str, deviation: str
) -> str:
    """Return what the network makes of the inputs that `imputation_inputs` has."""
    told = graph.node("Concat", mean, missing, deviation, axis=1)
    return network(graph, module, told)


def _full(graph: Graph, gaussian: Any, known: str, missing: str) -> tuple[str, str]:
    r"""Return conditional mean and variance by `FullGaussian`.

    The block :math:`\Lambda_{mm}` of each row is inverted as the matrix (p, p) that has
    it, and 1 for each observed cell.
    """
    p = len(gaussian.precision)
    columns, rows = (graph.reshape(missing, *s) for s in ((-1, p, 1), (-1, 1, p)))
    both = graph.node("Mul", columns, rows)
    block = graph.times(both, gaussian.precision)
    observed = graph.node("Sub", graph.constant(1.0), columns)
    matrix = graph.node("Add", block, graph.times(observed, np.eye(p)))
    inverse = negative_inverse(graph, matrix, p)
    pull = graph.node("MatMul", known, graph.constant(gaussian.precision))
    pulled = graph.reshape(graph.node("Mul", pull, missing), -1, p, 1)
    step = graph.reshape(graph.node("MatMul", inverse, pulled), -1, p)
    mean = graph.node("Add", known, graph.node("Mul", step, missing))
    diagonal = _sum(graph, graph.times(inverse, -np.eye(p)), axis=2)
    return mean, graph.node("Mul", diagonal, missing)


def _factors(graph: Graph, gaussian: Any, known: str, missing: str) -> tuple[str, str]:
    """Return conditional mean and variance by `FactorGaussian`; see there."""
    W = gaussian.loadings.detach().cpu().numpy()
    psi = gaussian.noise.detach().cpu().numpy()
    r, p = W.shape
    scaled = W / psi
    observed = graph.node("Sub", graph.constant(1.0), missing)
    products = (W[:, None] * scaled).reshape(r * r, p)
    sums = graph.node("MatMul", observed, graph.constant(products.T))
    matrix = graph.reshape(sums, -1, r, r)
    matrix = graph.node("Add", matrix, graph.constant(np.eye(r)))
    covariance = graph.times(negative_inverse(graph, matrix, r), -1.0)
    seen = graph.node("MatMul", known, graph.constant(scaled.T))
    mean = graph.node("MatMul", covariance, graph.reshape(seen, -1, r, 1))
    rows = graph.node("MatMul", graph.reshape(mean, -1, r), graph.constant(W))
    rows = graph.node("Add", known, graph.node("Mul", rows, missing))
    flat = graph.reshape(covariance, -1, r * r)
    squares = (W[:, None] * W).reshape(r * r, p)
    variance = graph.affine(flat, squares, psi)
    return rows, graph.node("Mul", variance, missing)


_CONDITIONALS = {FullGaussian: _full, FactorGaussian: _factors}


def _sum(graph: Graph, x: str, axis: int) -> str:
    axes = graph.constant([axis], np.int64)
    return graph.node("ReduceSum", x, axes, keepdims=0)


def negative_inverse(graph: Graph, matrices: str, p: int) -> str:
    r"""Return minus the inverses of positive definite matrices (n, p, p).

    By the sweep operator (Goodnight 1979), once for each k: with the column `c` of the
    matrix `A`, its entry `d` on the diagonal, and the k-th unit vector `e`,
    :math:`A - (c - e)(c - e)^\top / d - 2\, e e^\top`.
    """
    return graph.node(
        "Loop",
        graph.constant(p, np.int64),
        graph.constant(True, np.bool_),
        matrices,
        body=_sweep(p),
    )


def _sweep(p: int) -> Any:
    """Return the graph of a sweep: of k, a condition, and the matrices so far."""
    make, double = onnx.helper.make_node, onnx.TensorProto.DOUBLE
    nodes = [
        make("Equal", ["numbers", "k"], ["is_k"]),
        make("Cast", ["is_k"], ["e"], to=double),
        make("MatMul", ["before", "e"], ["c"]),
        make("MatMul", ["c", "e"], ["diagonal"]),
        make("Reshape", ["diagonal", "as_numbers"], ["d"]),
        make("Sub", ["c", "e"], ["difference"]),
        make("Reshape", ["difference", "as_columns"], ["column"]),
        make("Reshape", ["difference", "as_rows"], ["row"]),
        make("Mul", ["column", "row"], ["product"]),
        make("Div", ["product", "d"], ["quotient"]),
        make("Sub", ["before", "quotient"], ["most"]),
        make("Reshape", ["e", "as_columns"], ["e_column"]),
        make("Mul", ["e_column", "e"], ["corner"]),
        make("Mul", ["corner", "two"], ["corners"]),
        make("Sub", ["most", "corners"], ["after"]),
        make("Identity", ["go_on"], ["goes_on"]),
    ]
    constants = {
        "numbers": np.arange(p),
        "as_numbers": np.array([-1, 1, 1]),
        "as_columns": np.array([-1, p, 1]),
        "as_rows": np.array([-1, 1, p]),
        "two": np.array(2.0),
    }
    info = onnx.helper.make_tensor_value_info
    shape = [None, p, p]
    return onnx.helper.make_graph(
        nodes,
        "sweep",
        [
            info("k", onnx.TensorProto.INT64, []),
            info("go_on", onnx.TensorProto.BOOL, []),
            info("before", double, shape),
        ],
        [info("goes_on", onnx.TensorProto.BOOL, []), info("after", double, shape)],
        [onnx.numpy_helper.from_array(v, name) for name, v in constants.items()],
    )
