"""Devices: there is no GPU here, so what can be shown is which one is chosen."""

import pickle

import pytest
import torch

from sklatent import Autoencoder
from sklatent._devices import inference_device, training_device


def test_names(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="device='cuda' is not available"):
        training_device("cuda")
    assert inference_device("cuda", torch.float32).type == "cpu"

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert training_device("auto").type == "cuda"
    assert training_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="device='cuda:2' is not available"):
        training_device("cuda:2")
    assert inference_device("cuda:1", torch.float64) == torch.device("cuda:1")


def test_mps_has_no_float64(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert inference_device("mps", torch.float32).type == "mps"
    assert inference_device("mps", torch.float64).type == "cpu"


def test_a_fitted_model_is_on_the_cpu_and_goes_where_it_is_asked(digits, monkeypatch):
    model = Autoencoder(2, max_iter=1, early_stopping=False).fit(digits)
    assert {p.device.type for p in model.net_.module_.parameters()} == {"cpu"}
    model = pickle.loads(pickle.dumps(model))
    asked = []
    monkeypatch.setattr(
        "sklatent._reconstruction.inference_device",
        lambda name, dtype: asked.append((name, dtype)) or torch.device("meta"),
    )
    with model._inference(digits.dtype) as (module, device):
        assert device.type == "meta"
        tensors = [*module.parameters(), *module.buffers()]
        assert {t.device.type for t in tensors} == {"meta"}
    assert asked == [("auto", torch.float64)]
    assert {p.device.type for p in model.net_.module_.parameters()} == {"cpu"}
