"""Fitted estimators as ONNX graphs: importing this registers them with skl2onnx.

``skl2onnx.to_onnx`` then converts them, alone and in a ``Pipeline``. The graph does
what `transform` does, in the dtype of its input. It requires the extra ``onnx``.
"""

try:
    from ._estimators import register
except ModuleNotFoundError as error:
    raise ImportError(
        f"sklatent.onnx requires {error.name}: pip install 'sklatent[onnx]'."
    ) from error

register()
