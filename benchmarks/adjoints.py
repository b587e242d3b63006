"""Which adjoint? Of the steps that were taken, or of the equation: what each is worth at the same tolerance.

    python -m benchmarks.adjoints

Derivatives of the final loss by every sample's weight, on the paper's model. `steps`: flowsim.influence, the exact
adjoint of the run's steps. `path`: λ' = -(∂v/∂y)ᵀ λ backwards along the dense output of the forward run. `back`: state
and λ backwards together, without anything kept. Both of these choose their own steps, by the same tolerance. The truth
is forward mode at rtol 1e-13. A gradient counts one, a vector-Jacobian product of the velocity with its value three.
"""

import time

import diffrax
import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

import flowsim

STAGES = 13  # gradients of a step of Diffrax's dopri8
SHOWN = 3  # samples whose derivatives forward mode checks


def word_problem():
    task = flowsim.tasks.cooccurrence(samples=24, length=4, vocabulary=16, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=16, width=32, neurons=32, key=jax.random.key(1))
    return flowsim.Problem(flowsim.init.gaussian(sigma0=0.1, sigma1=0.1)(model, key=jax.random.key(2)), task)


def weighted(problem, w):
    return flowsim.Problem(problem.model(problem.parameters), problem.task, weights=w)


def forward_mode(problem, t1):
    """By the first weights, to rounding."""
    ones = jnp.ones(problem.task.samples)
    s = flowsim.sensitivity(
        lambda eps: weighted(problem, ones.at[:SHOWN].add(eps)), at=np.zeros(SHOWN), t1=t1, rtol=1e-13, atol=1e-16,
        solver="dopri8", save_times=[0.0, t1], reduction="none", certificate=False,
    )  # fmt: skip
    return np.asarray(s.dataset.loss_derivative.values[-1])


class Continuous:
    """The continuous adjoint of the plain gradient flow, by Diffrax."""

    def __init__(self, problem, t1, rtol):
        self.flat, unravel = jax.flatten_util.ravel_pytree(problem.parameters)
        self.ones, self.t1 = jnp.ones(problem.task.samples), t1
        self.risk = lambda y, w: weighted(problem, w).risk(unravel(y))
        self.solver, self.control = diffrax.Dopri8(), diffrax.PIDController(rtol=rtol, atol=rtol * 1e-2)

    def velocity(self, y, w):
        return -jax.grad(self.risk)(y, w)

    def solve(self, field, start, t0, t1, args=None, *, dense=False):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(field), self.solver, t0, t1, None, start, args, stepsize_controller=self.control,
            saveat=diffrax.SaveAt(t1=True, dense=dense), max_steps=4096, throw=False,
        )  # fmt: skip

    def forward(self, *, dense):
        return self.solve(lambda t, y, _: self.velocity(y, self.ones), self.flat, 0.0, self.t1, dense=dense)

    def pulled(self, y, costate):
        """λ' and the integrand of ∂φ/∂w."""
        velocity, pull = jax.vjp(self.velocity, y, self.ones)
        of_y, of_w = pull(costate)
        return velocity, -of_y, -of_w

    def at_end(self, y):
        return jax.grad(self.risk, argnums=(0, 1))(y, self.ones)

    def path(self):
        there = self.forward(dense=True)
        of_y, of_w = self.at_end(there.ys[0])

        def field(t, z, _):
            return self.pulled(there.evaluate(t), z[0])[1:]

        back = self.solve(field, (of_y, of_w), self.t1, 0.0)
        return back.ys[1][0], there.stats["num_steps"], back.stats["num_steps"], back.result

    def back(self):
        there = self.forward(dense=False)
        y = there.ys[0]
        back = self.solve(lambda t, z, _: self.pulled(*z[:2]), (y, *self.at_end(y)), self.t1, 0.0)
        return back.ys[2][0], there.stats["num_steps"], back.stats["num_steps"], back.result


def timed(call):
    call()
    best, found = np.inf, None
    for _ in range(3):
        began = time.perf_counter()
        found = jax.block_until_ready(call())
        best = min(best, time.perf_counter() - began)
    return best, found


def of_steps(problem, t1, rtol, truth):
    settings = flowsim.simulation.Settings(t1, "dopri8", rtol, rtol * 1e-2)
    options = {"t1": t1, "solver": "dopri8", "rtol": rtol, "atol": rtol * 1e-2, "reduction": "none"}
    found = flowsim.influence(problem, **options)
    prepared = flowsim.simulation.prepare(problem, settings, reduction="none", save_times=[0.0, t1])
    run = timed(lambda: jax.tree.leaves(flowsim.simulation.run(prepared).carry))[0]
    seconds = timed(lambda: flowsim.influence(problem, **options, certificate=False).derivatives)[0]
    error = np.max(np.abs(found.derivatives[:SHOWN] - truth))
    size = np.max(np.abs(truth))
    held = "bound holds" if np.all(np.abs(found.derivatives[:SHOWN] - truth) <= found.errors[:SHOWN]) else "BOUND FAILS"
    spent = found.run_evaluations, found.adjoint_evaluations
    line("steps", rtol, error / size, *spent, seconds / run, held)


def of_equation(problem, t1, rtol, truth):
    made, tight = Continuous(problem, t1, rtol), Continuous(problem, t1, rtol / 16)
    forward = timed(eqx.filter_jit(lambda: made.forward(dense=False).ys))[0]
    for name in ("path", "back"):
        seconds, (found, there, back, result) = timed(eqx.filter_jit(getattr(made, name)))
        again = eqx.filter_jit(getattr(tight, name))()[0]
        error = np.abs(np.asarray(found)[:SHOWN] - truth)
        bound = 4 * np.abs(np.asarray(found - again))[:SHOWN]
        said = "bound holds" if np.all(error <= bound + 1e-15) else "BOUND FAILS"
        said += "" if result == diffrax.RESULTS.successful else ", gave up"
        spent = STAGES * int(there), 3 * STAGES * int(back)
        line(name, rtol, np.max(error) / np.max(np.abs(truth)), *spent, seconds / forward, said)


def line(name, rtol, error, run, adjoint, seconds, said):
    cost = f"gradients {run} + {adjoint} = {(run + adjoint) / run:.1f} runs, seconds {seconds:.1f} runs"
    print(f"{name:6} rtol {rtol:.0e}: error {error:.1e}, {cost}, {said}", flush=True)


def main():
    jax.config.update("jax_enable_x64", True)
    problem = word_problem()
    for t1 in (3.0, 30.0):
        truth = forward_mode(problem, t1)
        print(f"t1 = {t1:g}")
        for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
            of_steps(problem, t1, rtol, truth)
            of_equation(problem, t1, rtol, truth)


if __name__ == "__main__":
    main()
