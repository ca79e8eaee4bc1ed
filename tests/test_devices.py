"""Devices: there is no GPU here, so what can be shown is which one is chosen."""

import pickle

import numpy as np
import pytest
import torch

from sklatent import Autoencoder
from sklatent.runtime import MIN_FLOPS_FOR_GPU, inference_device, training_device


def test_names(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_device("auto", np.inf).type == "cpu"
    with pytest.raises(ValueError, match="device='cuda' is not available"):
        training_device("cuda", 0.0)
    assert inference_device("cuda", torch.float32, np.inf).type == "cpu"

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert training_device("auto", MIN_FLOPS_FOR_GPU).type == "cuda"
    assert training_device("auto", 0.99 * MIN_FLOPS_FOR_GPU).type == "cpu"
    assert training_device("cuda:1", 0.0) == torch.device("cuda:1")
    with pytest.raises(ValueError, match="device='cuda:2' is not available"):
        training_device("cuda:2", 0.0)
    assert inference_device("auto", torch.float64, MIN_FLOPS_FOR_GPU).type == "cuda"
    assert inference_device("auto", torch.float64, 0.0).type == "cpu"
    assert inference_device("cuda:1", torch.float64, 0.0) == torch.device("cuda:1")


def test_mps_has_no_float64(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert inference_device("mps", torch.float32, 0.0).type == "mps"
    assert inference_device("mps", torch.float64, 0.0).type == "cpu"


def test_a_fitted_model_is_on_the_cpu_and_goes_where_it_is_asked(digits, monkeypatch):
    model = Autoencoder(2, max_iter=1, early_stopping=False).fit(digits)
    assert {p.device.type for p in model.net_.module_.parameters()} == {"cpu"}
    model = pickle.loads(pickle.dumps(model))
    asked = []
    monkeypatch.setattr(
        "sklatent.runtime.inference_device",
        lambda *args: asked.append(args) or torch.device("meta"),
    )
    with model._inference.running(digits.dtype, 1000) as (module, device):
        assert device.type == "meta"
        tensors = [*module.parameters(), *module.buffers()]
        assert {t.device.type for t in tensors} == {"meta"}
    n_weights = sum(p.numel() for p in model.net_.module_.parameters())
    assert asked == [("auto", torch.float64, 2 * 1000 * n_weights)]
    assert {p.device.type for p in model.net_.module_.parameters()} == {"cpu"}
