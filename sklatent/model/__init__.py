"""The fitted model: what it does with rows, and the numbers that describe it."""

from ._attribution import integrated_gradients
from ._calibration import Calibration
from ._density import (
    covariance,
    log_likelihood_bound,
    normal_draws,
    precision,
)
from ._earlier import EarlierLatents
from ._hidden_cells import HiddenCells
from ._inference import Inference
from ._labelled import LabelledRows
from ._neighbours import Neighbours
from ._oddness import Oddness, Standardiser
from ._outlier_stream import OutlierStream
from ._sampling import draw_latents, draw_matched_rows
from ._summary import Summary, summarise
