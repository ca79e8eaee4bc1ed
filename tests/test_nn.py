"""The networks: properties, without scikit-learn or skorch."""

from unittest import mock

import pytest
import torch
from helpers import generator, identity_scaling, normal
from torch import nn
from torch.nn.utils import prune
from torch.testing import assert_close

from sklatent.nn import (
    ACTIVATIONS,
    MLP,
    AutoencoderModel,
    Batch,
    Gate,
    LatentFrame,
    Moments,
    NestedDecoder,
    ResidualMap,
    Sizes,
    SquaredError,
    SupervisedLoss,
    SupervisedModel,
    _mlp,
    _segments,
    check_width,
    decoder_gram,
    jacobians,
    ordered_frame,
    principal_frame,
)
from sklatent.nn._segments import segment_sums


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_shapes_and_zero_start(activation):
    x = torch.randn(5, 3, generator=generator())
    network = MLP((3, 7, 2), activation, zero_last=False, generator=generator())
    assert network(x).shape == (5, 2)
    assert network(x).abs().max() > 0
    network = MLP((3, 7, 2), activation, zero_last=True, generator=generator())
    assert_close(network(x), torch.zeros(5, 2))


def test_mlp_is_all_from_its_generator():
    before = torch.get_rng_state()
    a, b, c = (
        MLP((3, 7, 2), "relu", zero_last=False, generator=generator(seed))
        for seed in (0, 0, 1)
    )
    assert_close(a.state_dict(), b.state_dict(), rtol=0, atol=0)
    assert not torch.equal(a[0].weight, c[0].weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_mlp_starts_as_linear_layers_do():
    layer = MLP((100, 50), "relu", zero_last=False, generator=generator())[0]
    reference = nn.Linear(100, 50)
    for mine, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
        assert mine.abs().max() <= 0.1
        assert_close(mine.std(), theirs.std(), rtol=0.35, atol=0)


def test_residual_map_is_linear_part_plus_network():
    weight, bias, scale = normal(3, 2), normal(2), normal(2)
    network = nn.Linear(3, 2).double()
    x = normal(5, 3, seed=1)
    linear = x @ weight + bias
    assert_close(ResidualMap(weight, bias, None)(x), linear)
    assert_close(ResidualMap(None, None, network)(x), network(x))
    both = ResidualMap(weight, bias, network, scale)
    assert_close(both(x), linear + scale * network(x))
    both(x).sum().backward()
    assert len(list(both.parameters())) == 2
    assert network.weight.grad is not None


def test_an_mlp_may_have_a_linear_map_beside_its_layers():
    network = MLP(
        (3, 7, 2), "silu", zero_last=True, generator=generator(), gain=0.5, skips=True
    )
    x = torch.randn(5, 3, generator=generator())
    assert_close(network(x), torch.zeros(5, 2))
    torch.nn.init.normal_(network.skip_weight, generator=generator())
    assert_close(network(x), 0.5 * x @ network.skip_weight.T)
    assert network.has_manual_backward
    assert len(list(network.last_parameters())) == 3
    before = network(x)
    prune.l1_unstructured(network, "skip", amount=0.0)
    assert not network.has_manual_backward
    assert_close(network(x), before)
    network.add_skip()  # there is one
    assert_close(network(x), before)
    frozen = MLP((3, 7, 2), "silu", zero_last=True, generator=generator())
    frozen.requires_grad_(False).add_skip()
    assert not frozen.skip_weight.requires_grad


def module(activation="silu", hidden=(7, 6), linear=True, scale=True, seed=0):
    """An autoencoder 5-3-5 with no zero in it."""

    def residual(n_in, n_out, gain, scale):
        sizes = (n_in, *hidden, n_out)
        network = MLP(
            sizes,
            activation,
            zero_last=False,
            generator=generator(seed),
            gain=gain,
            skips=linear,
        )
        if linear:
            network.skip_weight.data = normal(n_out, n_in).float()
        parts = (normal(n_in, n_out), normal(n_out)) if linear else (None, None)
        size = normal(n_out).abs() if scale else None
        return ResidualMap(*parts, network, size)

    frame = LatentFrame.scaling(torch.ones(3))
    return AutoencoderModel(
        residual(5, 3, 1.0, scale),
        residual(3, 5, 0.3, False),
        frame,
        identity_scaling(5),
    ).double()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (7,), (7, 6)])
@pytest.mark.parametrize(("linear", "scale"), [(True, True), (True, False), (False, 0)])
def test_the_gradient_written_out_is_that_of_autograd(
    activation, hidden, linear, scale
):
    net, criterion = module(activation, hidden, linear, scale), SquaredError()
    assert net.has_manual_backward
    batch = Batch(normal(9, 5), normal(9, 5, seed=1))
    loss = criterion(net.forward_scaled(batch), batch)
    loss.backward()
    expected = [parameter.grad.clone() for parameter in net.parameters()]
    for parameter in net.parameters():
        parameter.grad.fill_(torch.nan)  # what is there is written over
    with torch.no_grad():
        output, tape = net.forward_with_tape(batch)
        value, grad = criterion.gradient(output, batch)
        net.backward(tape, grad)
    assert_close(output, net.forward_scaled(batch))
    assert_close(value, loss)
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient)


def test_products_in_bfloat16_are_those_of_float32_to_its_precision(monkeypatch):
    net, criterion = module("silu", (40, 30)).float(), SquaredError()
    batch = Batch(*(normal(50, 5, seed=seed).float() for seed in (0, 1)))

    def gradients():
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        with torch.no_grad():
            output, tape = net.forward_with_tape(batch)
            net.backward(tape, criterion.gradient(output, batch)[1])
        return [output, *(parameter.grad for parameter in net.parameters())]

    monkeypatch.setattr(_mlp, "HAS_BFLOAT16", False)
    exact, plain = gradients(), net.forward_scaled(batch)
    assert_close(plain, exact[0])
    monkeypatch.setattr(_mlp, "HAS_BFLOAT16", True)
    for a, b in zip(exact, gradients(), strict=True):
        assert torch.equal(a, b)  # these are too small to gain
    monkeypatch.setattr(_mlp, "MIN_PRODUCT_IN_BFLOAT16", 1)
    for a, b in zip(exact, gradients(), strict=True):
        assert b.dtype == torch.float32
        assert 0 < (a - b).norm() < 2**-6 * a.norm()
    assert torch.equal(net.forward_scaled(batch), plain)  # without a tape: no training


def test_a_network_of_somebody_else_has_no_gradient_written_out():
    other = ResidualMap(None, None, nn.Linear(5, 3))
    net = module()
    mixed = AutoencoderModel(other, net.decoder, net.frame, net.scaling)
    assert not mixed.has_manual_backward


def test_gate_starts_at_zero_and_can_leave_it():
    gate = Gate(nn.Linear(3, 2))
    x = torch.ones(4, 3)
    assert_close(gate(x), torch.zeros(4, 2))
    gate(x).sum().backward()
    assert gate.gate.grad.abs().min() > 0


def test_a_map_beside_a_network_of_somebody_else_starts_linear_and_can_leave_it():
    weight, bias, x = torch.randn(3, 2), torch.randn(2), torch.randn(4, 3)
    net = ResidualMap(weight, bias, Gate(nn.Linear(3, 2)))
    assert_close(net(x), x @ weight + bias)
    net(x).square().sum().backward()
    # The derivative by c of the square of (1 + c) x W + b, at c = 0.
    known = (2 * (x @ weight + bias) * (x @ weight)).sum()
    assert_close(net.change.grad[0], known)
    ours = ResidualMap(weight, bias, nn.Linear(3, 2))
    assert ours.change is None


def test_check_width():
    check_width(nn.Linear(3, 2), 3, 2, "encoder")
    with pytest.raises(
        ValueError, match=r"encoder maps .* \(2, 2\); .* \(n_samples, 4"
    ):
        check_width(nn.Linear(3, 2), 3, 4, "encoder")
    with pytest.raises(ValueError, match=r"decoder failed on an input .* \(2, 5\)"):
        check_width(nn.Linear(3, 2), 5, 2, "decoder")


def test_check_width_leaves_batch_norm_alone():
    network = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Linear(3, 2))
    check_width(network, 3, 2, "encoder")
    assert network[0].num_batches_tracked == 0
    assert network.training


def test_moments_are_those_of_numpy():
    u, x, r = normal(20, 3) + 5, normal(20, 4, seed=1), normal(20, 4, seed=2)
    moments = Moments(3, 4)
    for rows in torch.arange(20).tensor_split(3):
        moments.add(u[rows], x[rows], r[rows])
    assert_close(moments.mean, u.mean(0))
    assert_close(moments.covariance, u.T.cov())
    assert_close(moments.cross_covariance, torch.cat([u, x], 1).T.cov()[:3, 3:])
    assert moments.variance_of_reconstruction == pytest.approx(float(r.var(0).sum()))


def test_decoder_gram_of_a_linear_map_is_its_gram():
    weight = normal(3, 4)
    gram = decoder_gram(lambda u: u @ weight + 2, normal(7, 3))
    assert_close(gram, weight @ weight.T)


def test_jacobians_are_those_of_autograd():
    decoder = MLP((3, 8, 5), "silu", zero_last=False, generator=generator()).double()
    u = normal(7, 3)
    ((rows, jacobian),) = jacobians(decoder, u)
    assert rows == slice(0, 7)
    for row, found in zip(u.split(1), jacobian, strict=True):
        exact = torch.autograd.functional.jacobian(decoder, row).squeeze()
        assert_close(found, exact.T, rtol=1e-7, atol=1e-9)


def test_jacobian_where_latents_do_not_vary():
    decoder = nn.Linear(2, 3).double()
    for u in (torch.zeros(4, 2).double(), torch.full((4, 2), 1e9).double()):
        ((_, jacobian),) = jacobians(decoder, u)
        assert_close(jacobian[0], decoder.weight.detach().T, rtol=1e-5, atol=1e-6)


def nested_decoder():
    parts = [module(seed=seed).decoder for seed in (0, 1)]
    return NestedDecoder(parts, [1, 3])


def test_a_nested_decoder_sees_the_first_latents_only():
    decoder, u = nested_decoder(), normal(6, 3)
    sizes = torch.tensor([1, 1, 2, 2, 3, 3])
    x = decoder(u, Sizes.of(sizes))
    for i, size in enumerate(sizes.tolist()):
        shown = torch.cat([u[i, :size], torch.zeros(3 - size)])[None]
        expected = decoder.parts[0 if size == 1 else 1](shown)
        assert_close(x[i : i + 1], expected)
        assert_close(decoder(u[i : i + 1], size), expected)
    assert_close(decoder(u), decoder.parts[1](u))
    before = decoder(u, 1)
    decoder.truncate(1)
    assert len(decoder.parts) == 1
    assert_close(decoder(u), before)


@pytest.mark.parametrize("sizes", [[1] * 9, [3] * 9, [1, 1, 1, 1, 2, 2, 3, 3, 3], None])
def test_the_gradient_of_a_nested_decoder_is_that_of_autograd(sizes):
    plain, criterion = module(), SquaredError()
    net = AutoencoderModel(plain.encoder, nested_decoder(), plain.frame, plain.scaling)
    shown = None if sizes is None else Sizes.of(torch.tensor(sizes))
    batch = Batch(normal(9, 5), normal(9, 5, seed=1), sizes=shown)
    loss = criterion(net.forward_scaled(batch), batch)
    loss.backward()
    expected = [
        torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for p in net.parameters()
    ]
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    with torch.no_grad():
        output, tape = net.forward_with_tape(batch)
        value, grad = criterion.gradient(output, batch)
        net.backward(tape, grad)
    assert_close(value, loss)
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient)


def test_decoder_gram_is_that_of_autograd():
    decoder, u = (
        MLP((3, 8, 5), "silu", zero_last=False, generator=generator()),
        normal(7, 3),
    )
    decoder = decoder.double()
    rows = u.split(1)
    exact = [torch.autograd.functional.jacobian(decoder, row).squeeze() for row in rows]
    expected = sum(j.T @ j for j in exact) / 7
    assert_close(decoder_gram(decoder, u), expected, rtol=1e-5, atol=1e-8)


def some_moments(u, x):
    """Moments of latents, rows and a reconstruction of variance 1."""
    moments = Moments(u.shape[1], x.shape[1])
    r = torch.zeros_like(x)
    r[:, 0] = normal(len(x), seed=9)
    r[:, 0] /= r[:, 0].std()
    moments.add(u, x, r)
    return moments


@pytest.mark.parametrize("frame_of", [principal_frame, ordered_frame])
def test_frames(frame_of):
    u = normal(50, 3) @ normal(3, 3, seed=1) + 2
    x = torch.cat([u @ normal(3, 4, seed=2), normal(50, 1, seed=3)], 1)
    gram = normal(3, 3, seed=4) @ normal(3, 3, seed=4).T
    frame = frame_of(some_moments(u, x), gram, 3.0)
    z = frame(u)

    assert_close(z.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)
    covariance = z.T.cov()
    variance = covariance.diagonal()
    assert_close(covariance, torch.diag(variance), atol=1e-8, rtol=0)
    assert_close(float(variance.sum()), 9.0)
    cross = torch.cat([z, x], 1).T.cov()[:3, 3:]
    largest = cross.gather(1, cross.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()
    assert_close(frame.back(z), u)
    # z = u A, so steps along z are steps along u by the inverse of A.
    steps = frame.inverse @ gram @ frame.inverse.T
    assert_close(steps.diagonal(), steps[0, 0].expand(3))
    if frame_of is principal_frame:
        assert (variance.diff() < 1e-9).all()
        assert_close(steps, torch.diag(steps.diagonal()))
    else:  # the first latents are functions of the first
        assert_close(frame.matrix, frame.matrix.triu())
        assert_close(frame.inverse, frame.inverse.triu())
        assert_close(frame.back(z[:, :2])[:, :2], u[:, :2])
        assert_close(frame.first(2)(u), z[:, :2])
    assert_close(frame.times(torch.tensor([1.0, 2, 3]))(u), z * torch.tensor([1, 2, 3]))


@pytest.mark.parametrize("frame_of", [principal_frame, ordered_frame])
def test_a_latent_that_moves_nothing_can_be_inverted(frame_of):
    u = normal(50, 2)
    gram = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    for g in (gram, 0 * gram):
        frame = frame_of(some_moments(u, u), g, 1.0)
        assert_close(frame.back(frame(u)), u)


def test_the_frame_cancels_in_a_reconstruction():
    frame = LatentFrame.scaling(torch.tensor([2.0, 5.0]))
    module = AutoencoderModel(
        ResidualMap(None, None, nn.Linear(3, 2)),
        ResidualMap(None, None, nn.Linear(2, 3)),
        frame,
        identity_scaling(3),
    )
    x = torch.randn(4, 3, generator=generator())
    assert_close(module.decode(module.encode(x)), module.forward_scaled(Batch(x, x)))
    assert_close(module(x), module.forward_scaled(Batch(x, x)))


def test_squared_error():
    a, b = torch.zeros(2, 3), torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    batch = Batch(b, b)
    assert_close(SquaredError().rows(a, batch), torch.tensor([5.0, 9.0]))
    assert_close(SquaredError()(a, batch), torch.tensor(14 / 6))


# A supervised model and its loss ---------------------------------------------------


def supervised(y, *, nested=False, linear=True):
    """A model 5-3-5 with a linear head, and no zero in it."""
    plain = module(linear=linear, scale=linear)
    decoder = nested_decoder() if nested else plain.decoder
    parts = (normal(3, y.shape[1]), normal(y.shape[1])) if linear else (None, None)
    network = MLP(
        (3, y.shape[1]), "silu", zero_last=False, generator=generator(), gain=0.5
    )
    head = ResidualMap(*parts, network)
    scaling = plain.scaling
    return SupervisedModel(plain.encoder, decoder, head, plain.frame, scaling).double()


def classes_of_nine():
    y = torch.zeros(9, 4, dtype=torch.float64)
    y[range(9), [0, 1, 2, 3, 0, 1, 0, 0, 2]] = 1
    y[2] = y[7] = 0  # without a label
    return y


def numbers_of_nine():
    y = normal(9, 2, seed=2)
    y[0] = y[3:5, 1] = torch.nan
    return y


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("is_classes", [True, False])
@pytest.mark.parametrize("sizes", [None, [3] * 9, [1, 1, 1, 1, 2, 2, 3, 3, 3]])
def test_the_gradient_of_rows_and_targets_is_that_of_autograd(
    is_classes, sizes, linear
):
    y = classes_of_nine() if is_classes else numbers_of_nine()
    net = supervised(y, nested=sizes is not None, linear=linear)
    assert net.has_manual_backward
    criterion = SupervisedLoss(0.3, 1.7, is_classes=is_classes)
    shown = None if sizes is None else Sizes.of(torch.tensor(sizes))
    batch = Batch(normal(9, 5), normal(9, 5, seed=1), sizes=shown, y=y)
    loss = criterion(net.forward_scaled(batch), batch)
    loss.backward()
    expected = [
        torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for p in net.parameters()
    ]
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    before = y.clone()
    with torch.no_grad():
        output, tape = net.forward_with_tape(batch)
        value, grad = criterion.gradient(output, batch)
        net.backward(tape, grad)
    assert_close(output, net.forward_scaled(batch))
    assert_close(value, loss)
    assert_close(batch.y, before, equal_nan=True)
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient)
    assert net.head.network[0].weight.grad.abs().max() > 0


def test_the_loss_of_classes_is_the_cross_entropy_of_labelled_rows():
    y = classes_of_nine()
    net, batch = supervised(y), Batch(normal(9, 5), normal(9, 5, seed=1), y=y)
    output = net.forward_scaled(batch)
    found = SupervisedLoss(0.25, 2.0, is_classes=True).rows(output, batch)
    left = (output.rows - batch.target).square().sum(dim=1)
    labelled = y.any(dim=1)
    entropy = nn.functional.cross_entropy(
        output.prediction[labelled], y[labelled].argmax(dim=1), reduction="none"
    )
    assert_close(found[labelled], 0.25 * left[labelled] + 2 * entropy)
    assert_close(found[~labelled], 0.25 * left[~labelled])


def test_the_loss_of_numbers_is_the_squared_error_of_those_that_are_known():
    y = numbers_of_nine()
    net, batch = supervised(y), Batch(normal(9, 5), normal(9, 5, seed=1), y=y)
    output = net.forward_scaled(batch)
    found = SupervisedLoss(0.25, 2.0, is_classes=False).rows(output, batch)
    left = (output.rows - batch.target).square().sum(dim=1)
    of_targets = (output.prediction - y).square().nansum(dim=1)
    assert of_targets[0] == 0
    assert_close(found, 0.25 * left + 2 * of_targets)


def test_a_head_that_is_watched_leaves_the_gradient_to_autograd():
    net = supervised(classes_of_nine())
    net.head.register_forward_hook(lambda *args: None)
    assert not net.has_manual_backward


@pytest.mark.parametrize("devices", [("cpu",), ()])
def test_sums_of_consecutive_values(devices):
    values = torch.arange(24.0).reshape(2, 4, 3)
    with mock.patch.object(_segments, "SUM_IN_ORDER", devices):
        sums = segment_sums(values, torch.tensor([1, 0, 3]), 1)
    expected = torch.stack(
        [values[:, 0], torch.zeros(2, 3), values[:, 1:].sum(dim=1)], dim=1
    )
    assert torch.equal(sums, expected)
