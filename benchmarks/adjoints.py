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


def word_problem(samples, width):
    task = flowsim.tasks.cooccurrence(samples=samples, length=4, vocabulary=16, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=16, width=width, neurons=width, key=jax.random.key(1))
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


class Continuous(eqx.Module):
    """The continuous adjoint of the plain gradient flow, by Diffrax. Its numbers are arrays: one program for all."""

    problem: flowsim.Problem
    t1: jax.Array
    rtol: jax.Array

    def risk(self, y, w):
        return weighted(self.problem, w).risk(jax.flatten_util.ravel_pytree(self.problem.parameters)[1](y))

    def start(self):
        return jax.flatten_util.ravel_pytree(self.problem.parameters)[0]

    def ones(self):
        return jnp.ones(self.problem.task.samples)

    def velocity(self, y, w):
        return -jax.grad(self.risk)(y, w)

    def solve(self, field, start, t0, t1, *, dense=False):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(field), diffrax.Dopri8(), t0, t1, None, start, max_steps=4096, throw=False,
            stepsize_controller=diffrax.PIDController(rtol=self.rtol, atol=self.rtol * 1e-2),
            saveat=diffrax.SaveAt(t1=True, dense=dense),
        )  # fmt: skip

    def forward(self, *, dense=False):
        return self.solve(lambda t, y, _: self.velocity(y, self.ones()), self.start(), 0.0, self.t1, dense=dense)

    def pulled(self, y, costate):
        """λ' and the integrand of ∂φ/∂w."""
        velocity, pull = jax.vjp(self.velocity, y, self.ones())
        of_y, of_w = pull(costate)
        return velocity, -of_y, -of_w

    def at_end(self, y):
        return jax.grad(self.risk, argnums=(0, 1))(y, self.ones())

    def path(self):
        there = self.forward(dense=True)
        of_y, of_w = self.at_end(there.ys[0])

        def field(t, z, _):
            return self.pulled(there.evaluate(t), z[0])[1:]

        back = self.solve(field, (of_y, of_w), self.t1, 0.0)
        return back.ys[1][0], there.stats["num_steps"], back.stats["num_steps"], back.result

    def back(self):
        there = self.forward()
        y = there.ys[0]
        back = self.solve(lambda t, z, _: self.pulled(*z[:2]), (y, *self.at_end(y)), self.t1, 0.0)
        return back.ys[2][0], there.stats["num_steps"], back.stats["num_steps"], back.result


forward = eqx.filter_jit(lambda made: made.forward().ys)
continuous = {name: eqx.filter_jit(getattr(Continuous, name)) for name in ("path", "back")}


def timed(call):
    call()
    best, found = np.inf, None
    for _ in range(3):
        began = time.perf_counter()
        found = jax.block_until_ready(call())
        best = min(best, time.perf_counter() - began)
    return best, found


def of_steps(problem, t1, rtol, truth):
    options = {"t1": t1, "solver": "dopri8", "rtol": rtol, "atol": rtol * 1e-2, "reduction": "none"}
    found = flowsim.influence(problem, **options)
    run = timed(lambda: flowsim.simulate(problem, **options, save_times=[0.0, t1], certificate=False).parameters)[0]
    seconds = timed(lambda: flowsim.influence(problem, **options, certificate=False).derivatives)[0]
    error = np.max(np.abs(found.derivatives[:SHOWN] - truth))
    size = np.max(np.abs(truth))
    held = "bound holds" if np.all(np.abs(found.derivatives[:SHOWN] - truth) <= found.errors[:SHOWN]) else "BOUND FAILS"
    spent = found.run_evaluations, found.adjoint_evaluations
    line("steps", rtol, error / size, *spent, seconds / run, held)


def of_equation(problem, t1, rtol, truth):
    made, tight = (Continuous(problem, jnp.asarray(t1), jnp.asarray(r)) for r in (rtol, rtol / 16))
    run = timed(lambda: forward(made))[0]
    for name, run_back in continuous.items():
        seconds, (found, there, back, result) = timed(lambda run_back=run_back: run_back(made))
        again = run_back(tight)[0]
        error = np.abs(np.asarray(found)[:SHOWN] - truth)
        bound = 4 * np.abs(np.asarray(found - again))[:SHOWN]
        said = "bound holds" if np.all(error <= bound + 1e-15) else "BOUND FAILS"
        said += "" if result == diffrax.RESULTS.successful else ", gave up"
        spent = STAGES * int(there), 3 * STAGES * int(back)
        line(name, rtol, np.max(error) / np.max(np.abs(truth)), *spent, seconds / run, said)


def line(name, rtol, error, run, adjoint, seconds, said):
    cost = f"gradients {run} + {adjoint} = {(run + adjoint) / run:.1f} runs, seconds {seconds:.1f} runs"
    print(f"{name:6} rtol {rtol:.0e}: error {error:.1e}, {cost}, {said}", flush=True)


def main():
    jax.config.update("jax_enable_x64", True)
    for samples, width in ((24, 32), (96, 256)):
        problem = word_problem(samples, width)
        for t1 in (3.0, 30.0) if width == 32 else (10.0,):
            truth = forward_mode(problem, t1)
            print(f"{samples} samples, width {width}, t1 = {t1:g}")
            for rtol in (1e-4, 1e-6, 1e-8, 1e-10) if width == 32 else (1e-8,):
                of_steps(problem, t1, rtol, truth)
                if width == 32:  # Diffrax keeps room for the dense output of every step that it may take
                    of_equation(problem, t1, rtol, truth)


if __name__ == "__main__":
    main()
