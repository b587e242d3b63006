"""Are derivatives right, and their certificates honest? Random families against differences of tight runs.

    python -m benchmarks.sensitivities [COUNT]

Each family changes the start's scale, every sample's weight and a parameter of the loss at once, in random proportions:
the paper's model, a two-layer transformer and a deep linear network, logistic and squared loss, with an event. The
truth is sixth-order central differences of runs at rtol 1e-13, at a distance that is halved until their own error, as
the lower orders tell it, is small; the derivative is taken at rtol 1e-12, where the two are compared, and at a random
looser tolerance, where the error is compared with its bound.
"""

import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import flowsim
from flowsim.events import Event

SAMPLES, LENGTH, VOCABULARY = 12, 4, 8
STENCILS = ((1 / 2,), (2 / 3, -1 / 12), (3 / 4, -3 / 20, 1 / 60))  # central differences of orders 2, 4, 6
FARTHEST, HALVINGS, EXACT = 2e-3, 4, 1e-8


class Loss(eqx.Module):
    """The logistic loss at another temperature, or the squared loss of labels at another scale, in one program."""

    scale: jax.Array
    logistic: jax.Array  # 1 or 0

    def __call__(self, prediction, label):
        logistic = jnp.sum(jax.nn.softplus(-self.scale * label * prediction))
        squared = jnp.sum((prediction - self.scale * label) ** 2) / 2
        return self.logistic * logistic + (1 - self.logistic) * squared


class Below(eqx.Module):
    """The loss below a level that is an array, so that all families share one compiled program."""

    level: jax.Array

    def __call__(self, moment):
        return self.level - moment.problem.risk(moment.parameters)[None]


def base(number, keys):
    """(model, task, is the loss logistic)."""
    kind = number % 5
    if kind == 4:
        task = flowsim.tasks.regression(samples=SAMPLES, features=4, outputs=3, key=keys[0])
        return flowsim.models.DeepLinear(sizes=(4, 5, 3), key=keys[1]), task, False
    task = flowsim.tasks.cooccurrence(samples=SAMPLES, length=LENGTH, vocabulary=VOCABULARY, key=keys[0])
    if kind < 2:
        model = flowsim.models.CooccurrenceTransformer(vocabulary=VOCABULARY, width=12, neurons=8, key=keys[1])
        return flowsim.init.kaiming_normal()(model, key=keys[2]), task, kind == 0
    model = flowsim.models.Transformer(vocabulary=VOCABULARY, width=6, neurons=6, layers=2, heads=1, outputs=None,
                                       length=None, key=keys[1])  # fmt: skip
    return model, task, kind == 2


def draw(number):
    """A family, its horizon, and its event."""
    rng, keys = np.random.default_rng(number), jax.random.split(jax.random.key(number), 3)
    model, task, logistic = base(number, keys)
    of_start, of_loss = rng.normal(size=2)
    of_weights = jnp.asarray(rng.normal(size=SAMPLES))
    logistic = jnp.asarray(float(logistic))
    plain = flowsim.Problem(model, task, loss=Loss(jnp.asarray(1.0), logistic))

    def family(eps):
        whole = plain.model(jax.tree.map(lambda x: (1 + of_start * eps) * x, plain.parameters))
        loss = Loss(jnp.asarray(1 + of_loss * eps), logistic)
        return flowsim.Problem(whole, task, loss=loss, weights=1 + of_weights * eps)

    t1 = float(10 ** rng.uniform(0, 1.2))
    return family, t1, float(10 ** rng.uniform(-9, -4))


def half_way(level):
    return [Event("half", Below(jnp.asarray(level)), "up", False, "half way")]


def simulated(family, eps, t1, events):
    result = flowsim.simulate(
        family(jnp.asarray(eps)), t1=t1, solver="dopri8", rtol=1e-13, atol=1e-15, events=events,
        save_times=[0.0, t1], reduction="none",
    )  # fmt: skip
    flat = jax.flatten_util.ravel_pytree(result.parameters)[0]
    return np.concatenate([[result.final["loss"]], flat, [e.time for e in result.events.values()]])


def differences(member):
    """Sixth-order central differences of `member(eps)` at 0, and their relative errors: of loss, parameters, time.

    Orders 2 and 4 are in the same values; errors that fall by a constant ratio from order to order give the sixth's.
    """
    h, values = FARTHEST, {}
    for _ in range(HALVINGS):
        for eps in (k * sign * h for k in (1, 2, 3) for sign in (1, -1)):
            if eps not in values:
                values[eps] = member(eps)
        orders = [
            sum(c * (values[k * h] - values[-k * h]) for k, c in enumerate(stencil, 1)) / h for stencil in STENCILS
        ]
        errors = [
            last * min(last / max(first, 1e-300), 1.0) / max(size, 1e-300)
            for first, last, size in zip(sizes(orders[1] - orders[0]), sizes(orders[2] - orders[1]), sizes(orders[2]),
                                         strict=True)
        ]  # fmt: skip
        if max(errors) < EXACT:
            break
        h /= 2
    return orders[2], errors


def sizes(values):
    """Of loss, parameters and time."""
    return abs(values[0]), np.linalg.norm(values[1:-1]), abs(values[-1])


def judge(number):
    """How far derivative and differences are apart: loss, parameters, event time; (true error, bound) of two
    derivatives; the cost over a run's; and how exact the differences are."""
    family, t1, rtol = draw(number)
    middle = flowsim.simulate(family(jnp.asarray(0.0)), t1=t1, solver="dopri8", rtol=1e-6, atol=1e-8, reduction="none",
                              save_times=[0.0, t1], events=half_way(0.0))  # fmt: skip
    # Where the loss has fallen half its way it falls fast: late crossings are too flat for differences to be a truth.
    level = np.mean(middle.trajectory.values["loss"][[0, -1]])
    events = half_way(level)
    truth, unsure = differences(lambda eps: simulated(family, eps, t1, events))
    options = {"at": jnp.asarray(0.0), "t1": t1, "solver": "dopri8", "events": events, "save_times": [0.0, t1]}
    tight = flowsim.sensitivity(family, **options, rtol=1e-12, atol=1e-14, certificate=False)
    found = numbers(tight)
    scale = np.linalg.norm(truth[1:-1])
    apart = [a / max(b, 1e-300) for a, b in zip(sizes(found - truth), sizes(truth), strict=True)]
    loose = flowsim.sensitivity(family, **options, rtol=rtol, atol=rtol * 1e-2)
    errors = np.abs(numbers(loose) - found)
    judged = (
        (np.linalg.norm(errors[1:-1]) / scale, loose.certificate.relative_error),
        (errors[-1], loose.events["half"].derivative_error),
    )
    return apart, judged, loose.solver.vector_field_evaluations / middle.solver.vector_field_evaluations, unsure


def numbers(s):
    flat = jax.flatten_util.ravel_pytree(s.parameters_derivative)[0]
    return np.concatenate([[s.dataset.loss_derivative.values[-1]], flat, [s.events["half"].derivative]])


def main(count):
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)  # three sets of programs are most of the time
    rows, began = [], time.process_time()
    for number in range(count):
        rows.append(judge(number))
        apart, judged, _, unsure = rows[-1]
        told = [f"{x:.1e} (truth to {u:.0e})" for x, u in zip(apart, unsure, strict=True)]
        held = (f"{e:.1e} {'<=' if e <= b else '> BOUND'} {b:.1e}" for e, b in judged)
        print(number, *told, *held, f"{time.process_time() - began:.0f} s", flush=True)
    apart = np.array([row[0] for row in rows])
    for name, column in zip(("loss", "parameters", "event time"), apart.T, strict=True):
        print(f"{name}: within 1e-6 in {np.mean(column < 1e-6):.0%}, median {np.median(column):.1e}, "
              f"largest {column.max():.1e}")  # fmt: skip
    for i, name in enumerate(("parameters' derivative", "event time's derivative")):
        covered = [row[1][i][0] <= row[1][i][1] for row in rows]
        print(f"{name}: bound holds in {np.mean(covered):.0%} of {len(covered)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
