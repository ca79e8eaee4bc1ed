"""Fitted models as nodes of an ONNX graph: from rows to latents."""

from typing import Any

import numpy as np

from ..nn import MLP, LatentModel, Poisson, ResidualMap, VariationalModel, has_hooks
from ._gaps import filled
from ._graph import Graph
from ._networks import run


def latents(graph: Graph, model: LatentModel, x: str) -> str:
    """Return what `LatentModel.encode` makes of rows."""
    rows = scaled(graph, model.scaling, x)
    if model.filling is not None:
        rows = filled(graph, model.filling, rows)
    u = encoded(graph, model, rows)
    frame = model.frame
    centred = graph.node("Sub", u, graph.constant(frame.mean))
    return graph.node("MatMul", centred, graph.constant(frame.matrix))


def scaled(graph: Graph, scaling: Any, x: str) -> str:
    """Return what `Scaling.to_scaled` makes of rows."""

    def from_center(g: Graph, x: str) -> str:
        difference = g.node("Sub", x, g.constant(scaling.center))
        return g.node("Div", difference, g.constant(scaling.scale))

    def in_basis(g: Graph, x: str) -> str:
        return from_center(g, g.node("MatMul", x, g.constant(scaling.basis)))

    if scaling.basis is not None:  # rows are far longer than their coordinates
        return graph.in_dtype(np.float64, in_basis, x)
    if scaling.varying is not None:
        varying = graph.constant(scaling.varying, np.int64)
        x = graph.node("Gather", x, varying, axis=1)
    return from_center(graph, x)


def encoded(graph: Graph, model: Any, x: str) -> str:
    """Return what `LatentModel.latents` makes of scaled rows."""
    if isinstance(model.likelihood, Poisson):
        x = _log_counts(graph, model.likelihood, x)
    code = residual(graph, model.encoder, x)
    if not isinstance(model, VariationalModel):
        return code
    k = len(model.frame.mean)
    means = graph.node("Gather", code, graph.constant(np.arange(k), np.int64), axis=1)
    if model.spread is None:
        return means
    return graph.times(means, np.arange(k) < len(model.spread))


def _log_counts(graph: Graph, likelihood: Any, x: str) -> str:
    """Return what `Poisson.features` makes of scaled rows."""
    rows = graph.times(x, likelihood.scale)
    rows = graph.node("Add", rows, graph.constant(likelihood.shift))
    counts = graph.node("Max", rows, graph.constant(0.0))
    logs = graph.node("Log", graph.node("Add", counts, graph.constant(1.0)))
    usual = likelihood.shift.clamp(min=0).log1p()
    return graph.node("Sub", logs, graph.constant(usual))


def residual(graph: Graph, part: Any, x: str) -> str:
    """Return what `ResidualMap` makes of x."""
    if type(part) is not ResidualMap or has_hooks(part):
        raise NotImplementedError(f"An encoder of {part} is not converted.")
    if part.network is None:
        return graph.affine(x, part.weight, part.bias)
    shown, has_limits = x, isinstance(part.network, MLP) and part.low is not None
    if has_limits:
        below = graph.node("Min", x, graph.constant(part.high))
        shown = graph.node("Max", below, graph.constant(part.low))
    y = run(graph, part, shown)
    if part.weight is None:
        return y
    if part.scale is not None:
        y = graph.times(y, part.scale)
    weight = part.weight
    if part.change is not None:
        weight = weight.double() * (1 + part.change.detach().double())
    if part.outer is None:
        return graph.node("Add", graph.affine(x, weight, part.bias), y)
    y = graph.node("Add", graph.affine(shown, weight, part.bias), y)
    beyond = graph.node("Sub", x, shown)
    outer = graph.node("MatMul", beyond, graph.constant(part.outer))
    return graph.node("Add", y, outer)
