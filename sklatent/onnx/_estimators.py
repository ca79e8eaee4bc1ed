"""Estimators as operators of skl2onnx."""

from typing import Any

import numpy as np
import onnx
from skl2onnx import update_registered_converter
from skl2onnx.algebra.onnx_operator import OnnxSubEstimator
from skl2onnx.common.data_types import guess_proto_type, guess_tensor_type

from .._autoencoder import Autoencoder
from .._base import BaseLatentEncoder
from .._denoising import DenoisingAutoencoder
from .._latent_size import LatentSizeCV
from .._outliers import LatentOutlierDetector
from .._supervised import SupervisedAutoencoder
from .._variational import VariationalAutoencoder
from ._graph import Graph
from ._models import latents


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


def _dtype(operator: Any) -> Any:
    """Return the dtype to compute in: float64 for rows of that."""
    is_double = guess_proto_type(operator.inputs[0].type) == onnx.TensorProto.DOUBLE
    return np.dtype(np.float64 if is_double else np.float32)


def _no_shape(operator: Any) -> None:
    name = type(operator.raw_operator).__name__
    raise NotImplementedError(
        f"{name} is not converted: it compares rows with the training rows. Each "
        "encoder in encoders_ is."
    )


def register() -> None:
    """Register all estimators with skl2onnx."""
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
