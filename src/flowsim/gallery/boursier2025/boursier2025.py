"""Boursier, Flammarion (JMLR 2025); Min, Mallada, Vidal (ICLR 2024): early alignment of two-layer ReLU networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, Measured, NotReachedError, all_of, conserved, near

from .networks import class_rate, each_network, each_output, heading, least_cosine, network, slowest, stable_rank
from .neuron import Neuron

BOURSIER = "Boursier, Flammarion, JMLR 2025, arXiv 2401.10791"
MIN = "Min, Mallada, Vidal, ICLR 2024, arXiv 2307.12851"


@flowsim.kind("problem", "boursier2025")
class Boursier2025(flowsim.config.ProblemKind):
    """Two-layer ReLU networks f(x) = Σ a_j max(w_jᵀx, 0) from small balanced starts, |a_j| = ‖w_j‖.

    `classes`, one network for each of `scales`: logistic loss on labels ±1, y_k x_k in a cone around the first axis.
    `line`, at the least scale: ½ mean (f - y)² on the same cone, y = βᵀx + noise with β = the first axis, all y > 0.
    The risk is the sum over networks.
    """

    scales: tuple[float, ...] = Field(
        default=(1e-4, 1e-6), min_length=1, description="Norms of w_j at t = 0 are about λ, one network for each λ."
    )
    neurons: int = Field(default=8, ge=2, description="Of each network; every other one has a_j > 0.")
    samples: int = Field(default=8, ge=2, description="n; every other one has the label +1.")
    inputs: int = Field(default=4, ge=2, description="Dimension of the inputs, which have norm 1.")
    separation: float = Field(
        default=0.6, gt=-1, lt=1, description="Least cosine μ of the y_k x_k with each other; below 0: no cone."
    )
    noise: float = Field(default=0.2, ge=0, description="Of the labels of `line`, uniform in ± noise.")
    decay: float = Field(default=0.0, ge=0, description="Adds ½ decay ‖W‖² of every network: breaks the balance.")

    def check(self, experiment):
        if any(scale <= 0 for scale in self.scales):
            yield flowsim.config.Remark(("scales",), "must be above 0")

    def data(self, key):
        """Inputs (samples, inputs) and labels ±1 of `classes`, inputs and labels (samples,) of `line`."""
        around, noise = jax.random.split(jax.random.fold_in(key, 0))
        x = jax.random.normal(around, (self.samples, self.inputs - 1))
        x = x / jnp.linalg.norm(x, axis=1, keepdims=True) * jnp.sqrt((1 - self.separation) / 2)
        cone = jnp.column_stack([jnp.full(self.samples, jnp.sqrt((1 + self.separation) / 2)), x])
        sign = jnp.where(jnp.arange(self.samples) % 2 == 0, 1.0, -1.0)
        labels = cone[:, 0] + self.noise * jax.random.uniform(noise, (self.samples,), minval=-1.0)
        return sign[:, None] * cone, sign, cone, labels

    def start(self, key, scale, network):
        """W: (neurons, inputs) and a: (neurons,); the directions are the same at every scale."""
        W = scale * jax.random.normal(jax.random.fold_in(key, 1 + network), (self.neurons, self.inputs))
        W = W / jnp.sqrt(self.inputs)
        return {"W": W, "a": jnp.linalg.norm(W, axis=1) * jnp.where(jnp.arange(self.neurons) % 2 == 0, 1.0, -1.0)}

    def problem(self, key):
        classes = jax.tree.map(lambda *x: jnp.stack(x), *(self.start(key, scale, 0) for scale in self.scales))
        line = self.start(key, min(self.scales), 1)

        def risk(p):
            return jnp.sum(self.risks(key, p)) + 0.5 * self.decay * sum(jnp.sum(q["W"] ** 2) for q in p.values())

        return flowsim.Problem.from_loss(risk, {"classes": classes, "line": line})

    def start_size(self):
        return min(self.scales)

    def outputs(self, key, p):
        """Of `classes`, (scales, samples), and of `line`, (samples,)."""
        x, _, cone, _ = self.data(key)
        return network(p["classes"], x), network(p["line"], cone)

    def risks(self, key, p):
        """Of every network, `line` last."""
        (classes, line), (_, sign, _, labels) = self.outputs(key, p), self.data(key)
        logistic = jnp.mean(jax.nn.softplus(-sign * classes), axis=1)
        return jnp.append(logistic, 0.5 * jnp.mean((line - labels) ** 2))

    def early(self, key):
        """The closed form of every neuron at small scale: a list for each network, `line` last."""
        x, sign, cone, labels = (np.asarray(value, np.float64) for value in self.data(key))
        pull, n = [(x, sign / (2 * self.samples))] * len(self.scales), self.samples
        starts = [self.start(key, scale, 0) for scale in self.scales] + [self.start(key, min(self.scales), 1)]
        found = []
        for start, (inputs, g) in zip(starts, [*pull, (cone, labels / n)], strict=True):
            W, a = np.asarray(start["W"], np.float64), np.asarray(start["a"], np.float64)
            found.append([Neuron(*one, inputs, g) for one in zip(W, a, strict=True)])
        return found

    def claims(self, key):
        early = self.early(key)
        make = functools.partial(flowsim.claim, probes=self._probes(key, early), events=self._events(key, early))
        boursier, min2024 = functools.partial(make, source=BOURSIER), functools.partial(make, source=MIN)
        names = tuple(f"moves_{k}" for k in range(len(early)))
        return [
            *_start(boursier, early, names, self.samples),
            *self._silent(min2024, early),
            *_late(min2024),
            self._spurious(boursier, key),
        ]

    def _probes(self, key, early):
        probes = {
            "path": lambda p: jnp.stack([heading(q["W"], jnp) for q in each_network(p)]),
            "output": lambda p: jnp.stack([jnp.max(jnp.abs(f)) for f in each_output(self.outputs(key, p))]),
            "balance": lambda p: jnp.stack([q["a"] ** 2 - jnp.sum(q["W"] ** 2, axis=-1) for q in each_network(p)]),
            "class_risk": lambda p: self.risks(key, p)[:-1],
            "line_risk": lambda p: self.risks(key, p)[-1],
            "line_output": lambda p: self.outputs(key, p)[1],
            "stable_rank": lambda p: jax.vmap(stable_rank)(p["classes"]["W"]),
        }
        cosines = {f"cosine_{k}": functools.partial(least_cosine, k, one) for k, one in enumerate(early[:-1])}
        return probes | cosines

    def _events(self, key, early):
        """`moves_k`: a loss has fallen by 1 %; `aligned_k`; `plus_k`, `minus_k`: the mean margin of a class is ½."""
        first = np.asarray(self.risks(key, jax.tree.map(jnp.zeros_like, self.problem(key).parameters)))
        found = {
            f"moves_{k}": ("down", lambda p, k=k: self.risks(key, p)[k] - 0.99 * first[k]) for k in range(len(early))
        }
        for k, one in enumerate(early[:-1]):
            found[f"aligned_{k}"] = ("up", lambda p, k=k, one=one: least_cosine(k, one, p) - ALIGNED)
            for name, sign in CLASSES.items():
                found[f"{name}_{k}"] = ("up", lambda p, k=k, sign=sign: self._margin(key, p, k, sign) - 0.5)
        return [
            flowsim.events.crossing(name, lambda t, p, f=f: f(p), direction=direction)
            for name, (direction, f) in found.items()
        ]

    def _margin(self, key, p, k, sign):
        """Mean of y f(x) over a class."""
        of_class = self.data(key)[1] == sign
        return jnp.sum(jnp.where(of_class, sign * self.outputs(key, p)[0][k], 0.0)) / jnp.sum(of_class)

    def _silent(self, make, early):
        names = range(len(self.scales))

        @make(
            id="alignment before the loss moves",
            rule=f"when a loss has fallen by 1 % the least cosine with an extremal vector is above {ALIGNED}; it was "
            "there at times that differ by less than 1 % between the scales",
        )
        def silent(evidence):
            """The neurons align with extremal vectors while the loss stands still, in a time that does not depend on
            the scale (Theorem 1)."""
            cosines = [evidence.value(f"cosine_{k}", at=f"moves_{k}") for k in names]
            found = all_of(Finding.of(cosine > ALIGNED, cosine) for cosine in cosines)
            if min(cosine.value for cosine in cosines) <= ALIGNED:
                return found
            aligned = [evidence.time(f"aligned_{k}") for k in names]
            return all_of([found, *(near(time, aligned[0].value, 0.01) for time in aligned[1:])])

        @make(
            id="logarithm of the scale",
            rule="between two scales the time at which the mean margin of a class is ½ differs by the logarithm of "
            "their ratio over ‖D‖, within 1 %",
        )
        def delay(evidence):
            """Along an extremal vector a neuron grows like e^(‖D‖t): a class is learned after ln(1/λ)/‖D‖."""
            if len(set(self.scales)) < 2:
                raise NotReachedError("problem.scales holds one scale only")
            found = []
            for name, sign in CLASSES.items():
                rate = class_rate(early[0], sign)
                times = [evidence.time(f"{name}_{k}") for k in names]
                for k in names[1:]:
                    exact = float(np.log(self.scales[0] / self.scales[k])) / rate
                    if exact:
                        found.append(near((times[k] - times[0]).named(f"delay of {name}_{k}"), exact, 0.01))
            return all_of(found)

        return [silent, delay]

    def _spurious(self, make, key):
        @make(
            id="spurious stationary point",
            rule="predictions within 10 error bands and 1e-6 of those of least squares, whose loss is above 0; the "
            "loss is that one to 1e-6, relatively",
        )
        def spurious(evidence):
            """All neurons that live are active on all samples of `line`: the network becomes the line of least
            squares, a stationary point, although it has neurons enough to fit the labels (Theorem 2)."""
            cone, labels = (np.asarray(value, np.float64) for value in self.data(key)[2:])
            exact = cone @ np.linalg.lstsq(cone, labels, rcond=None)[0]
            least = 0.5 * float(np.mean((exact - labels) ** 2))
            final, risk = evidence.value("line_output"), evidence.value("line_risk")
            apart = abs(final.value - exact)
            shown = Measured(float(np.max(apart)), float(np.max(final.error)), "largest distance of a prediction")
            close = Finding.of(Measured(apart) <= 10 * final.error + 1e-6, shown)
            return close & near(risk, least, 1e-6) & Finding.compare(risk, ">", 1e-6)

        return spurious


CLASSES = {"plus": 1.0, "minus": -1.0}
ALIGNED = 0.99
RESOLVED = 1e-6  # relative distance to a closed form that counts as none


def _start(make, early, names, samples):
    @make(id="balance", rule="within 10 error bands of its start at every saved time")
    def balance(evidence):
        """a_j² - ‖w_j‖² is conserved for every neuron, across kinks too."""
        largest = float(np.exp(np.max(evidence.curve("path")[1].value[..., -1])))
        return conserved(evidence, "balance", scale=largest**2)

    @make(
        id="early path",
        rule="until its loss has fallen by 1 %, w_j/‖w_j‖ and ln ‖w_j‖ are within 10 error bands, 1e-6 and its "
        "largest output over ‖D‖ of the closed form, at every saved time",
    )
    def path(evidence):
        """Before its loss moves w_j' = a_j D_j, D_j the mean pull of the samples that are active on it: each neuron
        turns to an extremal vector, or dies."""
        found = []
        for k, neurons in enumerate(early):
            time, curve = evidence.curve("path", end=evidence.time(names[k]).value)
            exact = np.stack([heading(one.at(time), np) for one in neurons], axis=1)
            apart = np.max(np.abs(curve.value[:, k] - exact), axis=(1, 2))
            band = np.max(curve.error[:, k], axis=(1, 2))
            allowed = evidence.curve("output", end=time[-1])[1].high[:, k] / slowest(neurons) + RESOLVED
            found.append(_within(f"network {k}: largest distance / allowed", apart, 10 * band, allowed))
        return all_of(found)

    @make(
        id="kinks",
        rule="until its loss has fallen by 1 %, the same neurons and samples in each network, in the same order, at "
        "times within those in which a neuron turns by as much",
    )
    def kinks(evidence):
        """Every change of sign of a pre-activation before the loss moves is that of the closed form."""
        seen = evidence.events["kinks"].crossings
        if len(seen) < evidence.result.solver.kinks.crossed:
            raise NotReachedError(f"{len(seen)} of the kinks are on record: raise maximum of the event")
        found = []
        for k, neurons in enumerate(early):
            end, first = evidence.time(names[k]).value, k * len(neurons) * samples
            exact = {j * samples + i: (t, turn) for j, one in enumerate(neurons) for t, i, turn in one.kinks if t < end}
            here = {int(c.values["kink"]) - first: c.time for c in seen if c.time < end}
            here = {n: t for n, t in here.items() if 0 <= n < len(neurons) * samples}
            counted = Measured(len(here.keys() ^ exact.keys()), label=f"network {k}: kinks of one of the two alone")
            found.append(Finding.of(counted < 1, counted))
            if here.keys() == exact.keys() and exact:
                apart, band, allowed = _apart(evidence, k, neurons, [(n // samples, here[n], *exact[n]) for n in exact])
                label = f"network {k}, {len(exact)} kinks: largest distance in time / allowed"
                found.append(_within(label, apart, band, allowed))
        return all_of(found)

    return [balance, path, kinks]


def _within(label, apart, band, allowed):
    """Distances with error bounds, below what is allowed of each."""
    worst = int(np.argmax((apart + band) / allowed))
    shown = Measured(apart[worst] / allowed[worst], band[worst] / allowed[worst], label)
    return Finding.of(shown < 1.0, shown)


def _apart(evidence, k, neurons, kinks):
    """Of kinks (neuron, time, exact time, time in which the neuron turns by 1): by how much it has turned in the time
    between, the error of that by its own bands, and what is allowed."""
    times, output = evidence.curve("output")
    bands = np.max(evidence.curve("path")[1].error[:, k], axis=-1)
    neuron, time, exact, turn = (np.array(column) for column in zip(*kinks, strict=True))
    later = np.searchsorted(times, exact)
    return np.abs(time - exact) / turn, 10 * bands[later, neuron], output.high[later, k] / slowest(neurons) + RESOLVED


def _late(make):
    @make(
        id="rate 1/t",
        rule="over the last decade of the time t since both classes have a mean margin of ½, the slope of "
        "ln loss in ln t of each network is between -1.3 and -1",
    )
    def rate(evidence):
        """Once the classes are told apart the logistic loss falls like 1/t (Theorem 1)."""
        found = []
        for k in range(len(evidence.value("class_risk").value)):
            learned = max(evidence.time(f"{name}_{k}").value for name in CLASSES)
            time, risk = evidence.curve("class_risk", learned + (evidence.end - learned) / 10)
            factor = (time[-1] - learned) / (time[0] - learned)
            slope = (np.log(risk[-1, k]) - np.log(risk[0, k])) / float(np.log(factor))
            found.append(Finding.of(slope < -1.0, slope > -1.3, slope.named(f"slope of network {k}")))
        return all_of(found)

    @make(id="stable rank", rule="‖W‖²_F/‖W‖²₂ of each network is below 2 + λ at the end")
    def rank(evidence):
        """The hidden weights end with a stable rank of at most 2: one direction for each class (Theorem 1)."""
        final = evidence.value("stable_rank")
        return Finding.of(final < 2.0 + 1e-3, final.named("stable rank"))

    return [rate, rank]
