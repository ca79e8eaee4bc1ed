"""Training: an epoch loop, the judge of held-out rows, and skorch."""

from ._further import StreamRows, train_further
from ._imputation import add_correction
from ._judge import Judge, standard_error
from ._net import check_callbacks, load_net, save_net, skorch_net
from ._run import copied
from ._train import Trained, train
