"""The engine: the optimiser, the batches, the schedule."""

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import Freezer
from torch import nn
from torch.testing import assert_close

from sklatent import Autoencoder
from sklatent._batches import Rows, Shuffled, n_batches
from sklatent._scaling import ScaledRows
from sklatent._training import one_cycle
from sklatent.nn import FlatAdamW


def test_flat_adamw_is_adamw():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    twin = copy.deepcopy(network)
    settings = {"lr": 0.01, "weight_decay": 0.5}
    flat = FlatAdamW([{"params": list(network.parameters())}], **settings)
    plain = torch.optim.AdamW(twin.parameters(), **settings)
    for _ in range(5):
        x = torch.randn(6, 3)
        flat.clear()
        plain.zero_grad()
        for model, optimizer in ((network, flat), (twin, plain)):
            model(x).square().sum().backward()
            optimizer.step()
    assert_close(network.state_dict(), twin.state_dict())
    flat.release()
    assert all(p.grad is None for p in network.parameters())
    storages = {p.untyped_storage().data_ptr() for p in network.parameters()}
    assert len(storages) == 4
    assert_close(network.state_dict(), twin.state_dict())


def test_frozen_parameters_stay(digits):
    names = []

    def is_first_layer(name):
        names.append(name)
        return name.startswith("encoder.network.0.")

    params = {"early_stopping": False, "hidden_layer_sizes": (8,), "random_state": 0}
    one, three = (
        Autoencoder(2, max_iter=n, callbacks=[Freezer([is_first_layer])], **params).fit(
            digits
        )
        for n in (1, 3)
    )
    layers = [model.net_.module_.encoder.network for model in (one, three)]
    assert_close(layers[0][0].weight, layers[1][0].weight, rtol=0, atol=0)
    assert not torch.equal(layers[0][2].weight, layers[1][2].weight)
    assert "encoder.network.0.weight" in names


def test_batches_are_a_partition_and_differ():
    rows = Rows(ScaledRows(np.arange(11.0)[:, None]), seed=0)
    epochs = [list(Shuffled(rows, 4)) for _ in range(2)]
    for epoch in epochs:
        sizes = [len(x) for x, _ in epoch]
        assert len(sizes) == n_batches(11, 4) == 3
        assert max(sizes) - min(sizes) <= 1
        assert sorted(torch.cat([x for x, _ in epoch]).flatten()) == list(range(11))
    assert not torch.equal(epochs[0][0][0], epochs[1][0][0])


@pytest.mark.parametrize("n_steps", [10, 1000])
def test_one_cycle_is_that_of_pytorch(n_steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    # PyTorch counts from the first step to the last; ours would end one step later.
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=n_steps + 1, pct_start=0.3, final_div_factor=1e9
    )
    tolerance = 3 / n_steps
    for step in range(n_steps):
        assert one_cycle(step / n_steps) == pytest.approx(
            optimizer.param_groups[0]["lr"], abs=tolerance
        )
        optimizer.step()
        reference.step()
