"""The solvers by name: one table for the experiment file, `flowsim solvers`, and the registry. Imports nothing."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SolverInfo:
    """What a user may know of a solver before choosing it.

    **Fields:**

    - `kind`: its name in an experiment file.
    - `order`: order of convergence.
    - `adaptive`: has an error estimate, so that `rtol` and `atol` size its steps; if not, `solver.step` is required.
    - `implicit`: solves equations in every step.
    - `stages`: stages of one step; None where the method chooses them step by step.
    - `fsal`: a step's last slope is the next step's first, which saves one evaluation.
    - `certified_by`: the solver of the independent integration that its error bound comes from, of like cost for a
      given accuracy; low orders are checked by a higher one, which is cheaper still.
    - `certified_tighter`: by which factor the tolerance of that integration is smaller.
    - `use`: when to choose it, in a sentence.
    """

    kind: str
    order: int
    adaptive: bool
    implicit: bool
    stages: int | None
    fsal: bool
    certified_by: str
    certified_tighter: float
    use: str


def _table(*rows: tuple) -> tuple[SolverInfo, ...]:
    return tuple(SolverInfo(*row) for row in rows)


# The factor makes the second integration's own error small beside the first one's. Two methods' errors differ by
# constants of up to 30 at one tolerance, and where they grow with the flow they have one sign: at a factor of 4 those
# of dopri8 and dop853 have been seen to agree to a hundredth (`benchmarks/event_bounds.py`). The lean methods have one
# dense output: inside steps that are as long as the first run's the second one's error is the same, and shows in no
# distance. The one of the next higher order at a far tighter tolerance takes shorter ones. Second order is so far below
# its tolerance while little has happened that a second run has to be, too.
# fmt: off
SOLVERS: tuple[SolverInfo, ...] = _table(
    # kind, order, adaptive, implicit, stages, fsal, certified by, at a tolerance smaller by, use
    ("tsit5", 5, True, False, 7, True, "dop853", 16.0,
     "Loose tolerances, down to about 1e-8."),
    ("dopri5", 5, True, False, 7, True, "dop853", 16.0,
     "The classical fifth-order pair; a peer of tsit5."),
    ("dopri8", 8, True, False, 14, True, "dop853", 32.0,
     "Tight tolerances, from about 1e-8 on, with exact curves."),
    ("dop853", 8, True, False, 13, True, "dopri8", 16.0,
     "The end of a flow at tight tolerances: fewest evaluations."),
    ("bosh3", 3, True, False, 4, True, "tsit5", 10.0,
     "Very loose tolerances, about 1e-3."),
    ("heun", 2, True, False, 2, False, "tsit5", 100.0,
     "Second order, two evaluations a step."),
    ("midpoint", 2, True, False, 2, False, "tsit5", 100.0,
     "As heun, with the slope at the step's middle."),
    ("ralston", 2, True, False, 2, False, "tsit5", 100.0,
     "As heun, with the smallest error bound."),
    ("euler", 1, False, False, 1, False, "tsit5", 10.0,
     "Fixed step (solver.step): is gradient descent with that learning rate."),
    ("lean3", 3, True, False, 5, True, "lean4", 512.0,
     "Where memory is short: a step holds few copies of the parameters. Very loose tolerances."),
    ("lean4", 4, True, False, 6, True, "lean5", 512.0,
     "Where memory is short, down to about 1e-5."),
    ("lean5", 5, True, False, 10, True, "lean4", 16.0,
     "Where memory is short, at tighter tolerances."),
    ("stabilized", 2, True, False, None, False, "stabilized4", 4.0,
     "Stiff flows (squared loss) at loose tolerances: stages grow with stiffness, no linear solves."),
    ("stabilized4", 4, True, False, None, False, "stabilized", 4.0,
     "Stiff flows at tighter tolerances, as stabilized."),
    ("exponential", 3, True, False, None, False, "stabilized4", 4.0,
     "Stiff gradient flows, down to about 1e-5: the fewest evaluations; symmetric Jacobians only."),
    ("kvaerno3", 3, True, True, 4, True, "kvaerno5", 10.0,
     "Very stiff small problems, loose tolerances. Its evaluations count stages, not solves."),
    ("kvaerno4", 4, True, True, 5, True, "kvaerno5", 10.0,
     "Very stiff small problems, medium tolerances. Its evaluations count stages, not solves."),
    ("kvaerno5", 5, True, True, 7, True, "kvaerno4", 4.0,
     "Very stiff small problems, tight tolerances. Its evaluations count stages, not solves."),
)
# fmt: on

SYMMETRIC: tuple[str, ...] = ("exponential",)  # only for flows whose Jacobian is symmetric

BY_KIND: dict[str, SolverInfo] = {solver.kind: solver for solver in SOLVERS}

COMPENSATED = ("float32",)  # precisions in which a run adds up compensated if nothing is said
# Whose steps are sums of slopes, so that they can be added up compensated: all that solve for nothing.
COMPENSABLE: tuple[str, ...] = tuple(s.kind for s in SOLVERS if not s.implicit and s.kind not in SYMMETRIC)

# What a comparison may compare beside them: other packages' methods, by the names that those give them.
SCIPY: dict[str, str] = {
    f"scipy_{name.lower()}": name for name in ("RK23", "RK45", "DOP853", "LSODA", "Radau")
}  # fmt: skip
SUNDIALS: dict[str, str] = {"sundials_bdf": "BDF", "sundials_adams": "Adams"}
OPTAX: dict[str, str] = {f"optax_{kind}": kind for kind in ("sgd", "adam", "adagrad", "rmsprop")}
COMPARABLE: tuple[str, ...] = (*BY_KIND, *SCIPY, *SUNDIALS, *OPTAX)

AUTO = (
    "tsit5 for rtol ≥ 1e-8, dopri8 for tighter tolerances; where a flow with real spectrum "
    "turns stiff, stabilized4, (for rtol ≥ 1e-5) stabilized or exponential takes over while it needs fewer evaluations."
)

# Rounding alone makes the error of a step about 100 units in the last place in float64 and 10 in float32; a test
# tighter than that compares noise with noise, and the step size collapses.
SMALLEST_RTOL: dict[str, float] = {"float64": 2.5e-14, "float32": 1.2e-6}

# (rtol, atol) of an experiment that gives none.
DEFAULT_TOLERANCES: dict[str, tuple[float, float]] = {"float64": (1e-8, 1e-10), "float32": (1e-5, 1e-7)}
