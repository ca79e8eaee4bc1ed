"""Nodes of an ONNX graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from torch import Tensor


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

    def reshape(self, x: str, *shape: int) -> str:
        """Return a tensor in another shape."""
        return self.node("Reshape", x, self.constant(shape, np.int64))

    def affine(self, x: str, weight: Any, bias: Any) -> str:
        """Return :math:`x W + b`."""
        product = self.node("MatMul", x, self.constant(weight))
        return self.node("Add", product, self.constant(bias))
