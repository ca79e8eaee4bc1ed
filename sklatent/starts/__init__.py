"""The linear classics, solved in closed form: what training starts from."""

from ._covariates import CovariatesStart, covariates_start
from ._denoiser import denoiser_start
from ._exponential import deviance_start, exponential_start
from ._gaps import rows_and_filling
from ._gaussian import (
    Noise,
    ProbabilisticStart,
    blank_start,
    choose_noise,
    factor_analysis_start,
    log_likelihood,
    ppca_start,
)
from ._gaussian_em import GaussianFit, fit_gaussian, hide_cells
from ._head import logistic_head
from ._mixture import (
    AggregatedPosterior,
    FittedPrior,
    LatentPrior,
    feature_quantiles,
    fit_mixture,
)
from ._multinomial import multinomial_start
from ._pca import LinearStart, pca_errors, pca_start
from ._running import RunningAxes, SeenRows
from ._target_map import TargetMap
