"""What several files of tests use: tensors, a network, and the state of the world."""

import random

import numpy as np
import torch
from torch import nn

from sklatent.nn import Scaling


def identity_scaling(n_features):
    zeros = torch.zeros(n_features, dtype=torch.float64)
    return Scaling(zeros, torch.ones((), dtype=torch.float64))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def small_encoder(n_features, n_components):
    return nn.Sequential(
        nn.Linear(n_features, 16), nn.Tanh(), nn.Linear(16, n_components)
    )


def world():
    """The states of the global generators, and the number of threads."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return (
        random.getstate(),
        (name, keys.tolist(), *rest),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
    )
