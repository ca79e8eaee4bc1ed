"""The limit: how long a training step must take, and how close each package gets.

For each data set: the floating-point operations of one step of the network that the
loops of speed.py train, the rate at which this machine's matrix product does them at
these shapes with one and two threads, and from both the shortest possible step. Then
whole fits with one thread, per step, as multiples of that; and where the time of a step
of Autoencoder goes: its parts timed alone, with warm caches, and what is left. Last,
the four parts in one go: with the gradient as the package writes it out, and with the
same gradient called by autograd, from a torch.autograd.Function for each map.

Small sets (`--data small`) are trained as six stacked networks: five folds and the
final model. For them, default fits beside the products of their steps, stacked and one
by one, and beside a plain loop of 100 epochs and batches of 32, 256 wide. CPU seconds.

    python benchmarks/limit.py [--repeats 3] [--data digits mnist small]
"""

import argparse
import os
import time
import warnings
from importlib.util import find_spec
from itertools import pairwise
from statistics import median

import speed
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import scale
from speed import BATCH, HIDDEN, K
from threadpoolctl import threadpool_limits
from torch.nn.functional import mse_loss

from sklatent import Autoencoder
from sklatent.nn import Batch, FlatAdamW, SquaredError

EPOCHS = {
    "digits": 15,
    "20000 x 30": 3,
    "100000 x 100": 1,
    "mnist": 5,
    "20000 x 784": 1,
}


def products(n_features):
    """The matrix products of a step, as functions, and their operations."""
    widths = [n_features, *HIDDEN, K, *HIDDEN[::-1], n_features]
    functions, n_operations = [], 0
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        x, grad = torch.randn(BATCH, n_in), torch.randn(BATCH, n_out)
        weight = torch.randn(n_out, n_in)
        functions.append(lambda x=x, w=weight: torch.mm(x, w.T))
        functions.append(lambda x=x, g=grad: torch.mm(g.T, x))
        if i:  # nobody asks for the gradient at the rows
            functions.append(lambda g=grad, w=weight: torch.mm(g, w))
        n_operations += (6 if i else 4) * BATCH * n_in * n_out
    return functions, n_operations


def shortest_step(n_features, n_threads, repeats):
    """Seconds that the matrix products of a step take."""
    functions, n_operations = products(n_features)
    torch.set_num_threads(n_threads)
    times = []
    rounds = max(20, int(3e9 / n_operations))
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for _ in range(rounds):
            for function in functions:
                function()
        times.append((time.perf_counter() - start) / rounds)
    torch.set_num_threads(1)
    return min(times), n_operations


FITS = {
    name: speed.FITS[name]
    for name in (
        "tensor loop, Adam",
        "tensor loop, fused Adam",
        "Autoencoder",
        "skorch, default",
        "MLPRegressor(X, X)",
    )
}
if find_spec("pyod"):
    FITS["PyOD"] = lambda X, e: speed.pyod(speed.unit_scale(X), e)


def timed(function, rounds):
    """Seconds of a call, the least of a few means."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            function()
        times.append((time.perf_counter() - start) / rounds)
    return min(times)


class MapFunction(torch.autograd.Function):
    """A map of the model for autograd, with the gradient that the package has.

    The token is a tensor that requires a gradient, so that backward is called where
    the rows require none.
    """

    @staticmethod
    def forward(ctx, x, token, part):  # noqa: ARG004
        """Map rows, and keep what `backward` needs."""
        y, ctx.tape = part.forward_with_tape(x)
        ctx.part = part
        return y

    @staticmethod
    def backward(ctx, grad):
        """Set the gradients of the weights, and return that of the rows, if needed."""
        to_input = ctx.needs_input_grad[0]
        return ctx.part.backward(ctx.tape, grad, to_input=to_input), None, None


def where_time_goes(X, step):
    """Print the parts of a step of Autoencoder."""
    model = speed.autoencoder(X[:2000], 1)
    module, loss = model.net_.module_.float().train(), SquaredError()
    settings = {"lr": 1e-9, "eps": 1e-15, "fused": True}
    optimizer = FlatAdamW([{"params": list(module.parameters())}], **settings)
    x = torch.randn(BATCH, len(module.encoder.weight))  # no constant features
    batch, token = Batch(x, x), torch.zeros((), requires_grad=True)
    rounds = max(30, int(3e5 / X.shape[1] / 10))

    def written_out():
        output, tape = module.forward_with_tape(batch)
        _, grad = loss.gradient(output, batch)
        module.backward(tape, grad)
        optimizer.advance()

    def with_functions():
        latents = MapFunction.apply(x, token, module.encoder)
        output = MapFunction.apply(latents, token, module.decoder)
        mse_loss(output, x).backward()
        optimizer.advance()

    with torch.no_grad():
        output, tape = module.forward_with_tape(batch)
        _, grad = loss.gradient(output, batch)
        parts = {
            "forward": timed(lambda: module.forward_with_tape(batch), rounds),
            "loss": timed(lambda: loss.gradient(output, batch), rounds),
            "backward": timed(lambda: module.backward(tape, grad), rounds),
            "Adam": timed(optimizer.advance, rounds),
        }
        whole = timed(written_out, rounds)
    function = timed(with_functions, rounds)
    parts["rows, cold caches, skorch"] = step - sum(parts.values())
    shown = ", ".join(f"{name} {value * 1e6:.0f}" for name, value in parts.items())
    print(f"  a step of Autoencoder, µs: {shown}")
    print(
        f"  the four parts in one go: written out: {whole * 1e6:.0f} µs, "
        f"with autograd.Function: {function * 1e6:.0f} µs",
        flush=True,
    )


def report(name, repeats):
    X = speed.DATA[name][0]()
    one, n_operations = shortest_step(X.shape[1], 1, repeats)
    line = f"{n_operations / 1e6:.1f} million operations a step"
    for n_threads in (1, 2):
        step, _ = shortest_step(X.shape[1], n_threads, repeats)
        line += f"; {n_threads} thread{'s' * (n_threads > 1)}: "
        line += f"{n_operations / step / 1e9:.0f} GFLOP/s, {step * 1e6:.0f} µs"
    print(f"\n{name}: {X.shape[1]}-{HIDDEN[0]}-{K}, batch {BATCH}\n  {line}")
    few = EPOCHS[name]
    n_steps = 2 * few * -(-len(X) // BATCH)
    seconds = {label: ([], []) for label in FITS}
    for repeat in range(repeats + 1):
        for label, fit in FITS.items():
            for epochs, times in zip((few, 3 * few), seconds[label], strict=True):
                start = time.perf_counter()
                fit(X, epochs)
                if repeat:
                    times.append(time.perf_counter() - start)
    print(f"  {'':28}{'µs a step':>12}{'x shortest':>12}{'s beside the steps':>20}")
    for label, (short, long) in seconds.items():
        step = (median(long) - median(short)) / n_steps
        rest = max(0.0, median(short) - step * n_steps / 2)
        print(f"  {label:28}{step * 1e6:12.0f}{step / one:12.1f}{rest:20.2f}")
        if label == "Autoencoder":
            ours = step
    where_time_goes(X, ours)


SMALL = {
    "iris": (lambda: load_iris().data, 2),
    "wine": (lambda: scale(load_wine().data), 4),
    "breast_cancer": (lambda: scale(load_breast_cancer().data), 4),
    "digits[:600]": (lambda: load_digits().data[:600], 8),
}


def stacked_products(widths, n_rows, n_members):
    """The matrix products of a step of several networks, as one and one by one."""
    stacked, single = [], []
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        x = torch.randn(n_members, n_rows, n_in)
        grad = torch.randn(n_members, n_rows, n_out)
        weight = torch.randn(n_members, n_out, n_in)
        pairs = [(x, weight.mT), (grad.mT, x)]
        pairs += [(grad, weight)] if i else []  # nobody asks for that at the rows
        stacked += pairs
        single += [(a[j], b[j]) for a, b in pairs for j in range(n_members)]
    return stacked, single


def report_small(repeats):
    """Print seconds of default fits of small sets, and what of it is products."""
    print("\nsmall sets, default fits of Autoencoder (five folds and the model)")
    print(
        f"  {'':22}{'µs a step':>10}{'products':>10}{'one by one':>12}"
        f"{'s of a fit':>12}{'of a loop':>11}{'fit / loop':>12}"
    )
    for name, (load, k) in SMALL.items():
        X = load()
        fits, loops = [], []
        for _ in range(repeats + 1):
            start = time.process_time()
            model = Autoencoder(k, random_state=0).fit(X)
            fits.append(time.process_time() - start)
            start = time.process_time()
            speed.tensor_loop(
                X, 100, batch_size=32, hidden=speed.DEEP, activation="silu"
            )
            loops.append(time.process_time() - start)
        hidden, n_rows = model.hidden_layer_sizes_, model.batch_size_
        widths = (X.shape[1], *hidden, k, *hidden[::-1], X.shape[1])
        stacked, single = stacked_products(widths, n_rows, 6)
        with torch.no_grad():
            products = timed(lambda s=stacked: [torch.bmm(*ab) for ab in s], 200)
            alone = timed(lambda s=single: [torch.mm(*ab) for ab in s], 50)
        n_steps = model.n_iter_ * -(-len(X) // n_rows)
        fit, loop = median(fits[1:]), median(loops[1:])
        print(
            f"  {name:22}{fit / n_steps * 1e6:10.0f}{products * 1e6:10.0f}"
            f"{alone * 1e6:12.0f}{fit:12.2f}{loop:11.2f}{fit / loop:12.2f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    names = [*EPOCHS, "small"]
    parser.add_argument("--data", nargs="+", default=names, choices=names)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    threadpool_limits(1)
    print(f"torch {torch.__version__}, {os.cpu_count()} processors")
    for name in args.data:
        if name == "small":
            report_small(args.repeats)
        else:
            report(name, args.repeats)


if __name__ == "__main__":
    main()
