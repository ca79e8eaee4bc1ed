"""Networks as nodes of an ONNX graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from ..nn import MLP, Gate, ToImages, has_hooks
from ._graph import Graph


def network(graph: Graph, module: nn.Module, x: str) -> str:
    """Return what a network makes of x.

    Raises
    ------
    NotImplementedError
        If a layer of it is of another class than those of `_LAYERS`, or is pruned or
        has hooks.
    """
    convert = _LAYERS.get(type(module))
    if convert is None or has_hooks(module):
        why = "has hooks" if convert else "has no counterpart here"
        known = ", ".join(sorted(kind.__name__ for kind in _LAYERS))
        raise NotImplementedError(
            f"{type(module).__name__} {why}: networks of {known} are converted. "
            "torch.onnx.export(estimator.net_.module_, ...) takes any network."
        )
    return convert(graph, module, x)


def _sequence(graph: Graph, layers: Any, x: str) -> str:
    for layer in layers:
        x = network(graph, layer, x)
    return x


def _mlp(graph: Graph, mlp: Any, x: str) -> str:
    y = _sequence(graph, mlp, x)
    skip = mlp.skip_weight
    if skip is not None:
        y = graph.node("Add", y, graph.node("MatMul", x, graph.constant(skip.T)))
    return y if mlp.gain == 1 else graph.times(y, mlp.gain)


def _gate(graph: Graph, gate: Any, x: str) -> str:
    y = run(graph, gate, x)
    return graph.times(y, 10 * gate.gain * gate.gate.detach().double().item())


def run(graph: Graph, holder: Any, x: str) -> str:
    """Return what the network of a module makes of x, in the dtype that it keeps."""
    dtype = np.float32 if holder.keeps_float32 else graph.dtype
    return graph.in_dtype(dtype, lambda g, x: network(g, holder.network, x), x)


def _linear(graph: Graph, layer: Any, x: str) -> str:
    product = graph.node("MatMul", x, graph.constant(layer.weight.mT))
    if layer.bias is None:
        return product
    return graph.node("Add", product, graph.constant(layer.bias))


def _gelu(graph: Graph, layer: Any, x: str) -> str:
    r"""Return :math:`x (1 + \mathrm{erf}(x / \sqrt 2)) / 2`, or the form with tanh."""
    if layer.approximate == "tanh":
        cube = graph.node("Mul", graph.node("Mul", x, x), x)
        inner = graph.node("Add", x, graph.times(cube, 0.044715))
        curve = graph.node("Tanh", graph.times(inner, np.sqrt(2 / np.pi)))
    else:  # runtimes have this function in float32 only
        inner = graph.times(x, np.sqrt(0.5))
        curve = graph.in_dtype(np.float32, lambda g, x: g.node("Erf", x), inner)
    both = graph.node("Add", curve, graph.constant(1.0))
    return graph.node("Mul", graph.times(x, 0.5), both)


def _convolution(graph: Graph, layer: Any, x: str) -> str:
    """Return a convolution in float32, the only dtype that runtimes have it in."""
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise NotImplementedError(
            f"{layer} is not converted: padding must be numbers of zeros."
        )
    attributes = {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.stride),
        "pads": 2 * list(layer.padding),
        "dilations": list(layer.dilation),
        "group": layer.groups,
    }

    def convolve(g: Graph, x: str) -> str:
        weights = [w for w in (layer.weight, layer.bias) if w is not None]
        return g.node("Conv", x, *map(g.constant, weights), **attributes)

    return graph.in_dtype(np.float32, convolve, x)


def _to_images(graph: Graph, module: Any, x: str) -> str:
    shape, axis = module.image.shape, module.image.channel_axis
    if axis is None:
        return graph.reshape(x, -1, 1, *shape)
    images = graph.reshape(x, -1, *shape)
    others = [i + 1 for i in range(len(shape)) if i != axis]
    return graph.node("Transpose", images, perm=[0, axis + 1, *others])


def _unflatten(graph: Graph, layer: Any, x: str) -> str:
    if layer.dim != 1:
        raise NotImplementedError(
            f"{layer} is not converted, but Unflatten(1, ...) is."
        )
    return graph.reshape(x, -1, *layer.unflattened_size)


def _flatten(graph: Graph, layer: Any, x: str) -> str:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise NotImplementedError(f"{layer} is not converted, but Flatten() is.")
    return graph.node("Flatten", x, axis=1)


def _silu(graph: Graph, _: Any, x: str) -> str:
    return graph.node("Mul", x, graph.node("Sigmoid", x))


#: How each layer is converted, by its class; a class derived from one may do otherwise.
_LAYERS: dict[type[nn.Module], Callable[[Graph, Any, str], str]] = {
    MLP: _mlp,
    Gate: _gate,
    ToImages: _to_images,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.Flatten: _flatten,
    nn.GELU: _gelu,
    nn.Identity: lambda graph, _, x: x,  # noqa: ARG005
    nn.Linear: _linear,
    nn.ReLU: lambda graph, _, x: graph.node("Relu", x),
    nn.Sequential: _sequence,
    nn.SiLU: _silu,
    nn.Sigmoid: lambda graph, _, x: graph.node("Sigmoid", x),
    nn.Unflatten: _unflatten,
    nn.Tanh: lambda graph, _, x: graph.node("Tanh", x),
}
