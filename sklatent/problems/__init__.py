"""What a fit is of: start, module, loss, held-out score and reading, composed."""

from ._continued import turn
from ._denoising import NOISES, check_level, corruption_of
from ._deviance import LIKELIHOODS, check_loss, deviance_problem
from ._held_out import ExplainedVariance, HeldOutScore, LogLikelihood, winsorised
from ._networks import Networks, share_unused
from ._problem import Choice, Problem, Reading
from ._reconstruction import ReconstructionReading, reconstruction_problem
from ._supervised import choice_of_mixing, supervised_problem
from ._values import check_range
from ._variational import variational_problem
from ._words import check_for_words
