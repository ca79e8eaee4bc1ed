"""Images and signals: convolutional networks, and changes of training rows."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sklatent import (
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
)
from sklatent.nn import ConvDecoder, ConvEncoder, RandomShift

SHAPE = (8, 8)
SMALL = {"channels": (4, 8), "hidden_layer_sizes": (32,)}
QUICK = {"max_iter": 3, "random_state": 0}


def networks(shape=SHAPE, **params):
    params = SMALL | params
    return {
        "encoder": ConvEncoder(shape, **params),
        "decoder": ConvDecoder(shape, **params),
    }


# The networks --------------------------------------------------------------------

SHAPES = [
    ((8, 8), None),
    ((7, 7), None),
    ((28, 28), None),
    ((5, 12), None),
    ((101,), None),
    ((16,), None),
    ((9, 6, 3), -1),
    ((3, 9, 6), 0),
    ((50, 2), 1),
    ((2, 50), 0),
]
KERNELS = [{}, {"kernel_size": 3}, {"kernel_size": 5, "stride": 1}]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_decoders_give_back_the_shape_that_encoders_take(shape, axis, kernel):
    p = int(np.prod(shape))
    encoder = ConvEncoder(shape, channel_axis=axis, **kernel)(p, 3)
    decoder = ConvDecoder(shape, channel_axis=axis, **kernel)(p, 3)
    with torch.no_grad():
        Z = encoder(torch.randn(4, p))
        assert Z.shape == (4, 3)
        assert decoder(Z).shape == (4, p)
    sizes = [[m for m in n if isinstance(m, nn.Linear)] for n in (encoder, decoder)]
    assert sizes[0][0].in_features == sizes[1][-1].out_features  # mirrored


def test_the_layers_are_those_asked_for():
    params = {"channels": [2, 3, 4], "kernel_size": 3, "activation": "relu"}
    network = ConvEncoder((28, 28), hidden_layer_sizes=(), **params)(784, 5)
    assert [type(m).__name__ for m in network] == (
        ["ToImages"] + ["Conv2d", "ReLU"] * 3 + ["Flatten", "Linear"]
    )
    assert [m.out_channels for m in network[1:7:2]] == [2, 3, 4]
    with torch.no_grad():
        images = network[:6](torch.zeros(1, 784))
    assert images.shape == (1, 4, 4, 4)  # 28, 14, 7, 4
    decoder = ConvDecoder((28, 28), hidden_layer_sizes=(6, 7), **params)(784, 5)
    assert [m.out_features for m in decoder[0:6:2]] == [7, 6, 4 * 4 * 4]
    assert isinstance(decoder[-2], nn.ConvTranspose2d)


@pytest.mark.parametrize("make", [ConvEncoder, ConvDecoder])
@pytest.mark.parametrize("size", [(7, 6), (11,)])
def test_channels_first_and_last_are_the_same_permuted(make, size):
    first, last = (3, *size), (*size, 3)
    found = {}
    for shape, axis in ((first, 0), (last, -1), (last, len(size))):
        torch.manual_seed(0)
        network = make(shape, channel_axis=axis)(3 * int(np.prod(size)), 2)
        images = torch.randn(5, *first)
        torch.manual_seed(1)
        latents = torch.randn(5, 2)
        rows = images if axis == 0 else images.movedim(1, -1)
        with torch.no_grad():
            if make is ConvEncoder:
                found[axis] = network(rows.flatten(1))
            else:
                found[axis] = network(latents).reshape(5, *shape)
                if axis:
                    found[axis] = found[axis].movedim(-1, 1)
    for axis in (-1, len(size)):
        assert_allclose(found[axis], found[0], atol=1e-6)


BAD = [
    ({"image_shape": (8, 9)}, r"image_shape=\(8, 9\) of ConvEncoder has 72 .* have 64"),
    ({"image_shape": 64}, "must be a tuple of positive ints.*got 64"),
    ({"image_shape": (8, 8.0)}, "must be a tuple of positive ints"),
    ({"image_shape": (-8, -8)}, "must be a tuple of positive ints"),
    ({"image_shape": (4, 4, 4)}, "3 axes besides the channels.*channel_axis=-1"),
    ({"image_shape": (64,), "channel_axis": 0}, "0 axes besides the channels"),
    ({"channel_axis": 2}, r"axis of image_shape=\(8, 8\).*got 2"),
    ({"channel_axis": "last"}, "got 'last'"),
    ({"channels": ()}, "channels of ConvEncoder must be positive ints.*got \\(\\)"),
    ({"channels": 16}, "got 16"),
    ({"channels": "16"}, "got '16'"),
    ({"channels": (8, 0)}, "got \\(8, 0\\)"),
    ({"kernel_size": 1}, "kernel_size >= stride >= 1; got kernel_size=1 and stride=2"),
    ({"stride": 0}, "stride=0"),
    ({"kernel_size": 4.0}, "kernel_size=4.0"),
    ({"hidden_layer_sizes": 256}, "hidden_layer_sizes of ConvEncoder.*got 256"),
    ({"activation": "mish"}, "one of gelu, .*got 'mish'"),
    (
        {"channels": (4, 4, 4, 4)},
        r"Convolution 4 of ConvEncoder gets images of size \(1, 1\).*requires 2 along "
        r".*image_shape=\(8, 8\) allows 3 convolutions",
    ),
]


@pytest.mark.parametrize(("params", "message"), BAD)
def test_bad_parameters_are_errors_before_training(digits, params, message):
    encoder = ConvEncoder(SHAPE).set_params(**params)
    model = Autoencoder(2, encoder=encoder)
    with pytest.raises(ValueError, match=message):
        model.fit(digits)
    assert not hasattr(model, "net_")


def test_an_unknown_parameter_is_an_error():
    encoder = ConvEncoder(SHAPE)
    with pytest.raises(ValueError, match="ConvEncoder has no parameter 'chanels'; it"):
        encoder.set_params(stride=1, chanels=(4,))
    assert encoder == ConvEncoder(SHAPE)  # nothing was set


# In estimators -------------------------------------------------------------------


def make(cls, **params):
    more = {"mixing": 0.5} if cls is SupervisedAutoencoder else {}
    return cls(3, **networks(), **QUICK, **more, **params)


ALL = [
    Autoencoder,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VariationalAutoencoder,
]


@pytest.mark.filterwarnings("ignore:No latent is active")
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("cls", ALL)
def test_all_estimators_take_them(digits, cls, ordered):
    X, y = digits[:200], digits[:200, 20] > 8
    model = make(cls, ordered=ordered, augmentation=RandomShift(SHAPE))
    model.set_params(early_stopping=True).fit(X, y)
    again = clone(model).fit(X, y)
    assert_array_equal(again.transform(X), model.transform(X))
    loaded = pickle.loads(pickle.dumps(model))
    Z = model.transform(X)
    assert_array_equal(loaded.transform(X), Z)
    assert Z.dtype == np.float64
    assert model.transform(X.astype(np.float32)).dtype == np.float32
    # Rows do not depend on which others there are.
    assert_allclose(model.transform(X[7:9]), Z[7:9], atol=1e-10)
    assert_allclose(model.transform(X.astype(np.float32)), Z, atol=1e-3)
    assert model.inverse_transform(Z).shape == X.shape
    assert model.components_.shape == (3, 64)


def test_networks_compute_in_float64_what_derivatives_say(digits):
    X = digits[:300]
    model = make(Autoencoder, early_stopping=False).fit(X)
    parameters = list(model.net_.module_.decoder.network.parameters())
    assert {p.dtype for p in parameters} == {torch.float64}
    Z, step = model.transform(X[:5]), 1e-6
    steps = np.eye(3)[:, None] * step
    change = [
        model.inverse_transform(Z + s) - model.inverse_transform(Z) for s in steps
    ]
    influence = model.feature_influence(X[:5])
    assert_allclose(np.stack(change, axis=1) / step, influence, atol=1e-4)


@pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])
def test_the_start_is_the_linear_one(digits, cls):
    X = digits[:300]
    params = {"early_stopping": False, "learning_rate": 1e-30, **QUICK}
    start = cls(3, hidden_layer_sizes=(), random_state=0).fit(X)
    model = cls(3, **networks(), **params).fit(X)
    assert_allclose(model.reconstruct(X), start.reconstruct(X), atol=1e-9)
    assert_allclose(model.transform(X), start.transform(X), atol=1e-6)
    if cls is Autoencoder:
        pca = PCA(3).fit(X)
        assert_allclose(np.abs(model.transform(X)), np.abs(pca.transform(X)), atol=1e-6)


def test_they_gain_on_pca(digits):
    X, X_new = digits[:1000], digits[1000:]
    model = Autoencoder(8, **networks(channels=(8, 16)), max_iter=20, random_state=0)
    left = 1 - model.fit(X).score(X_new)
    pca = Autoencoder(8, hidden_layer_sizes=()).fit(X)
    assert left < 0.75 * (1 - pca.score(X_new))


def test_signals_with_channels():
    """A sine of any phase is a circle: two of PCA's latents, and one angle."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(-2, 2, (120, 1, 1))
    t = np.linspace(0, 12, 31)[:, None] + np.array([0, 1])
    X = np.sin(t + phase).reshape(120, -1)
    model = Autoencoder(1, **networks((31, 2), channel_axis=-1), max_iter=30)
    model.set_params(batch_size=10, early_stopping=False, random_state=0).fit(X)
    assert 1 - model.score(X) < 0.2 * (
        1 - Autoencoder(1, hidden_layer_sizes=()).fit(X).score(X)
    )


def test_parameters_of_networks_are_searched(digits):
    X = digits[:120]
    search = GridSearchCV(
        make(Autoencoder, augmentation=RandomShift(SHAPE)).set_params(
            max_iter=1, early_stopping=False
        ),
        {
            "encoder__channels": [(2,), (3, 5)],
            "augmentation__pixels": [0, 1],
            "decoder": [None, ConvDecoder(SHAPE, **SMALL)],
        },
        cv=2,
        refit=False,
    ).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.estimator.encoder == ConvEncoder(SHAPE, **SMALL)
    model = clone(search.estimator).set_params(encoder__channels=(3,)).fit(X)
    assert model.net_.module_.encoder.network.network[1].out_channels == 3
    assert search.estimator.encoder.channels == (4, 8)
    assert "channels=(3,)" in repr(model)
    params = model.get_params()
    assert params["encoder__channels"] == (3,)
    assert params["decoder__kernel_size"] == 4


def test_a_warm_start_goes_on_with_the_same_networks_only(digits):
    X = digits[:200]
    model = make(Autoencoder, warm_start=True, early_stopping=False).fit(X)
    model.set_params(encoder=clone(model).encoder).fit(X)  # an equal one
    with pytest.raises(ValueError, match="encoder=.*warm_start"):
        model.set_params(encoder__channels=(5, 5)).fit(X)


# Changes of training rows ----------------------------------------------------------


def shifts_of(image, pixels, axis=None):
    """All shifts of an image, with its edges repeated, by np.pad and slices."""
    axes = [i for i in range(image.ndim) if axis is None or i != axis % image.ndim]
    width = [(pixels, pixels) if i in axes else (0, 0) for i in range(image.ndim)]
    padded = np.pad(image, width, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, image.shape)
    return windows.reshape(-1, image.size)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((5,), None), ((4, 3), None), ((4, 3, 2), -1), ((2, 4, 3), 0), ((2, 6), 0)],
)
@pytest.mark.parametrize("pixels", [0, 1, 2])
def test_shifts_are_by_whole_pixels_and_repeat_the_edge(shape, axis, pixels):
    torch.manual_seed(0)
    image = np.random.default_rng(0).normal(size=shape)
    rows = torch.from_numpy(image.ravel()).repeat(2000, 1)
    moved = RandomShift(shape, pixels=pixels, channel_axis=axis)(rows).numpy()
    known, counts = np.unique(
        shifts_of(image, pixels, axis), axis=0, return_counts=True
    )
    found, frequency = np.unique(moved, axis=0, return_counts=True)
    assert_array_equal(found, known)
    # All shifts are alike likely.
    expected = 2000 * counts / counts.sum()
    deviation = np.sqrt(expected * (1 - counts / counts.sum()))
    assert (np.abs(frequency - expected) <= 5 * deviation).all()


def test_rows_are_moved_each_by_itself():
    torch.manual_seed(0)
    rows = torch.arange(300.0).reshape(100, 3)
    moved = RandomShift((3,))(rows)
    assert moved.dtype == rows.dtype
    assert len({tuple(row.tolist()) for row in moved - rows}) == 3
    assert torch.equal(moved // 3, rows // 3)  # values of the same row


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        (RandomShift((8, 9)), r"image_shape=\(8, 9\) of RandomShift has 72 values"),
        (RandomShift(SHAPE, pixels=-1), "pixels must be an int from 0 on; got -1"),
        (RandomShift(SHAPE, pixels=0.5), "got 0.5"),
        (lambda x: x[:, 1:], "augmentation must map a tensor of shape .* to one of"),
        (lambda x: x * np.nan, "augmentation returned values that are not finite"),
    ],
)
def test_bad_augmentation_is_an_error(digits, shift, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(2, augmentation=shift, **QUICK).fit(digits[:100])


def test_words_have_no_augmentation(digits):
    model = VariationalAutoencoder(2, likelihood="multinomial", **QUICK)
    model.set_params(augmentation=RandomShift(SHAPE))
    with pytest.raises(ValueError, match="augmentation=.* requires augmentation=None"):
        model.fit(digits[:100])


def test_missing_cells_have_no_augmentation(digits):
    model = Autoencoder(2, missing="ignore", augmentation=RandomShift(SHAPE), **QUICK)
    with pytest.raises(ValueError, match="requires augmentation=None: missing cells"):
        model.fit(digits[:100])


def test_sparse_rows_are_changed_as_dense_ones_are(digits):
    X = digits[:300]
    model = make(Autoencoder, augmentation=RandomShift(SHAPE), early_stopping=True)
    dense = model.fit(X).transform(X)
    assert_allclose(clone(model).fit(csr_array(X)).transform(X), dense, atol=1e-4)


def test_augmentation_must_give_a_tensor(digits):
    model = Autoencoder(2, augmentation=lambda x: x.numpy(), **QUICK)
    with pytest.raises(TypeError, match="augmentation must return a tensor"):
        model.fit(digits[:100])


class Recorder(Callback):
    """Keeps the batches of training and of held-out rows."""

    def __init__(self):
        self.seen = {True: [], False: []}

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.seen[training].append([np.asarray(part) for part in batch])

    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])
@pytest.mark.parametrize("own", [False, True])
def test_input_and_target_of_training_rows_move_and_no_others(digits, cls, own):
    X, recorder = digits[:300], Recorder()
    X = X + np.random.default_rng(0).normal(size=X.shape)  # no two of them equal
    train, held_out = np.arange(250), np.arange(250, 300)
    model = cls(3, cv=[(train, held_out)], callbacks=[recorder], **QUICK)
    noise = lambda x: x + 1  # noqa: E731
    model.set_params(augmentation=RandomShift(SHAPE), **(networks() if own else {}))
    if cls is DenoisingAutoencoder:
        model.set_params(noise=noise)
    model.fit(X)
    offset = float(cls is DenoisingAutoencoder)  # noise moves what is shown alone
    inputs, target = (np.concatenate(p) for p in zip(*recorder.seen[True], strict=True))
    assert_allclose(inputs, target + offset, atol=1e-4)
    known = np.concatenate([shifts_of(row.reshape(SHAPE), 1) for row in X[train]])
    distance = [np.abs(known - row).max(axis=1).min() for row in target[:40]]
    assert max(distance) < 1e-4
    moved = [np.abs(X - row).max(axis=1).min() > 1e-4 for row in target]
    assert 0.8 < np.mean(moved) < 0.97  # eight of nine
    inputs, target = (
        np.concatenate(p) for p in zip(*recorder.seen[False], strict=True)
    )
    held = np.tile(X[held_out], (len(target) // 50, 1))
    assert_allclose(np.sort(target, axis=0), np.sort(held, axis=0), atol=1e-4)
    assert_allclose(inputs, target + offset, atol=1e-4)


def test_augmentation_teaches_what_training_rows_do_not_show():
    """Bumps at even places in training; those at odd ones come by shifts of one."""
    t = np.arange(32)
    bumps = np.exp(-0.5 * (t - np.arange(4, 28, 0.25)[:, None]) ** 2)
    even = np.arange(0, len(bumps), 8)
    rng = np.random.default_rng(0)
    X = np.repeat(bumps[even], 20, axis=0) + 0.01 * rng.normal(
        size=(len(even) * 20, 32)
    )
    scores = {}
    for shift in (None, RandomShift((32,))):
        model = Autoencoder(2, augmentation=shift, early_stopping=False, max_iter=60)
        scores[shift is None] = (
            model.set_params(random_state=0).fit(X).score(bumps[4::8])
        )
    assert 1 - scores[False] < 0.3 * (1 - scores[True])
