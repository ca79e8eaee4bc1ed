"""The learning rate over the steps of a training."""

import math


def one_cycle(done: float) -> float:
    """Return the factor of the learning rate when this share of training is done.

    Up from 1/25 to 1 over 30% of the steps, then down to 0, both along a cosine (Smith
    & Topin 2018). PyTorch's scheduler does the same and takes many times longer, which
    shows on small networks.
    """
    warm = 0.3
    if done < warm:
        return 0.52 - 0.48 * math.cos(math.pi * done / warm)
    return 0.5 + 0.5 * math.cos(math.pi * (done - warm) / (1 - warm))
