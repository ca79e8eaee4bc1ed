"""Fitted estimators as ONNX graphs: importing this registers them with skl2onnx.

``skl2onnx.to_onnx`` then converts them, alone and in a ``Pipeline``. The graph does
what `transform` does, in the dtype of its input. It requires the extra ``onnx``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from ._autoencoder import Autoencoder
from ._base import BaseLatentEncoder
from ._denoising import DenoisingAutoencoder
from ._latent_size import LatentSizeCV
from ._outliers import LatentOutlierDetector
from ._supervised import SupervisedAutoencoder
from ._variational import VariationalAutoencoder
from .nn import MLP, Gate, LatentModel, Poisson, ResidualMap, ToImages, has_hooks

try:
    import onnx
    from skl2onnx import update_registered_converter
    from skl2onnx.algebra.onnx_operator import OnnxSubEstimator
    from skl2onnx.common.data_types import guess_proto_type, guess_tensor_type
except ImportError as error:
    raise ImportError(
        "sklatent.onnx requires skl2onnx, which pip install 'sklatent[onnx]' installs."
    ) from error

_DTYPES = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.DOUBLE: np.dtype(np.float64),
}


class Graph:
    """Adds nodes to an ONNX graph; tensors are the names that they have in it.

    Parameters
    ----------
    scope, container
        As skl2onnx gives them to converters.
    dtype : dtype
        In which the graph computes, float32 or float64.
    """

    def __init__(self, scope: Any, container: Any, dtype: np.dtype[Any]) -> None:
        self.scope = scope
        self.container = container
        self.dtype = dtype

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return its output."""
        schema = onnx.defs.get_schema(kind, self.container.target_opset)
        output: str = self.scope.get_unique_variable_name(kind.lower())
        self.container.add_node(
            kind,
            list(inputs),
            [output],
            name=self.scope.get_unique_operator_name(kind),
            op_version=schema.since_version,
            **attributes,
        )
        return output

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Return a constant, in the dtype of the graph where there is no other."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        array = np.asarray(array, self.dtype if dtype is None else dtype)
        name: str = self.scope.get_unique_variable_name("constant")
        self.container.initializers.append(onnx.numpy_helper.from_array(array, name))
        return name

    def cast(self, x: str, dtype: Any) -> str:
        """Return a tensor in a dtype."""
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", x, to=kind)

    def in_dtype(
        self, dtype: Any, function: Callable[["Graph", str], str], x: str
    ) -> str:
        """Return what a part of the graph that computes in another dtype makes of x."""
        if self.dtype == dtype:
            return function(self, x)
        inner = Graph(self.scope, self.container, np.dtype(dtype))
        return self.cast(function(inner, self.cast(x, dtype)), self.dtype)

    def times(self, x: str, factor: Any) -> str:
        """Return a tensor times a constant."""
        return self.node("Mul", x, self.constant(factor))

    def affine(self, x: str, weight: Any, bias: Any) -> str:
        """Return :math:`x W + b`."""
        product = self.node("MatMul", x, self.constant(weight))
        return self.node("Add", product, self.constant(bias))


# Networks -------------------------------------------------------------------------


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
    return y if mlp.gain == 1 else graph.times(y, mlp.gain)


def _gate(graph: Graph, gate: Any, x: str) -> str:
    y = _run(graph, gate, x)
    return graph.times(y, 10 * gate.gain * gate.gate.detach().double().item())


def _run(graph: Graph, holder: Any, x: str) -> str:
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
        return graph.node("Reshape", x, graph.constant([-1, 1, *shape], np.int64))
    images = graph.node("Reshape", x, graph.constant([-1, *shape], np.int64))
    others = [i + 1 for i in range(len(shape)) if i != axis]
    return graph.node("Transpose", images, perm=[0, axis + 1, *others])


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
    nn.Tanh: lambda graph, _, x: graph.node("Tanh", x),
}


# Models ---------------------------------------------------------------------------


def latents(graph: Graph, model: LatentModel, x: str) -> str:
    """Return what `LatentModel.encode` makes of rows."""
    if model.filling is not None:
        raise NotImplementedError(
            "A model of missing='ignore' is not converted: ONNX has no operator to "
            "solve for the missing cells of each row. Impute in front of the "
            "estimator, by a SimpleImputer in a Pipeline, and fit it with "
            "missing='error'."
        )
    u = encoded(graph, model, scaled(graph, model.scaling, x))
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
    likelihood = getattr(model, "likelihood", None)
    if likelihood is None:
        return residual(graph, model.encoder, x)
    if isinstance(likelihood, Poisson):
        x = _log_counts(graph, likelihood, x)
    k = len(model.frame.mean)
    code = residual(graph, model.encoder, x)
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
    y = _run(graph, part, shown)
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


# Estimators -----------------------------------------------------------------------


def _output_shape(operator: Any) -> None:
    """Set the type of the latents: that of the rows, and their number."""
    kind = guess_tensor_type(operator.inputs[0].type)
    operator.outputs[0].type = kind.__class__([None, _width(operator.raw_operator)])


def _width(estimator: Any) -> int:
    return len(estimator.get_feature_names_out())


def _rows(operator: Any, graph: Graph) -> str:
    """Return all columns of the input, in the dtype of the graph."""
    names = [graph.cast(part.full_name, graph.dtype) for part in operator.inputs]
    return names[0] if len(names) == 1 else graph.node("Concat", *names, axis=1)


def _convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, container, _dtype(operator))
    estimator: BaseLatentEncoder = operator.raw_operator
    model = estimator.net_.module_
    z = latents(graph, model, _rows(operator, graph))
    container.add_node("Identity", z, operator.outputs[0].full_name)


def _convert_size(scope: Any, operator: Any, container: Any) -> None:
    """Convert `LatentSizeCV` as its ``best_estimator_``."""
    best = OnnxSubEstimator(
        operator.raw_operator.best_estimator_,
        *operator.inputs,
        op_version=container.target_opset,
        output_names=operator.outputs[:1],
    )
    best.add_to(scope, container)


def _dtype(operator: Any) -> np.dtype[Any]:
    found = guess_proto_type(operator.inputs[0].type)
    return _DTYPES.get(found, np.dtype(np.float32))


def _no_shape(operator: Any) -> None:
    name = type(operator.raw_operator).__name__
    raise NotImplementedError(
        f"{name} is not converted: it compares rows with the training rows. Each "
        "encoder in encoders_ is."
    )


def register() -> None:
    """Register all estimators with skl2onnx; importing this module does so."""
    encoders: list[type[Any]] = [
        Autoencoder,
        DenoisingAutoencoder,
        SupervisedAutoencoder,
        VariationalAutoencoder,
    ]
    converters = dict.fromkeys(encoders, (_output_shape, _convert_encoder))
    converters[LatentSizeCV] = _output_shape, _convert_size
    converters[LatentOutlierDetector] = _no_shape, _convert_encoder
    for estimator, functions in converters.items():
        update_registered_converter(
            estimator, f"Sklatent{estimator.__name__}", *functions, overwrite=True
        )


register()
