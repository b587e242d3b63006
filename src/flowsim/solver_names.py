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
    - `use`: when to choose it, in a sentence.
    """

    kind: str
    order: int
    adaptive: bool
    implicit: bool
    stages: int | None
    fsal: bool
    use: str


_EXPLICIT = {"adaptive": True, "implicit": False}
_IMPLICIT = {"adaptive": True, "implicit": True}

SOLVERS: tuple[SolverInfo, ...] = (
    SolverInfo("tsit5", 5, stages=7, fsal=True, use="Loose tolerances, down to about 1e-5.", **_EXPLICIT),
    SolverInfo("dopri5", 5, stages=7, fsal=True, use="The classical fifth-order pair; a peer of tsit5.", **_EXPLICIT),
    SolverInfo(
        "dopri8", 8, stages=14, fsal=True, use="Tight tolerances, from about 1e-5 on, with exact curves.", **_EXPLICIT
    ),
    SolverInfo(
        "dop853", 8, stages=13, fsal=True, use="The end of a flow at tight tolerances: fewest evaluations.", **_EXPLICIT
    ),
    SolverInfo("bosh3", 3, stages=4, fsal=True, use="Very loose tolerances, about 1e-3.", **_EXPLICIT),
    SolverInfo("heun", 2, stages=2, fsal=False, use="Second order, two evaluations a step.", **_EXPLICIT),
    SolverInfo("midpoint", 2, stages=2, fsal=False, use="As heun, with the slope at the step's middle.", **_EXPLICIT),
    SolverInfo("ralston", 2, stages=2, fsal=False, use="As heun, with the smallest error bound.", **_EXPLICIT),
    SolverInfo(
        "euler",
        1,
        adaptive=False,
        implicit=False,
        stages=1,
        fsal=False,
        use="Fixed step (solver.step): is gradient descent with that learning rate.",
    ),
    SolverInfo(
        "stabilized",
        2,
        stages=None,
        fsal=False,
        use="Stiff flows (squared loss) at loose tolerances: stages grow with stiffness, no linear solves.",
        **_EXPLICIT,
    ),
    SolverInfo(
        "stabilized4", 4, stages=None, fsal=False, use="Stiff flows at tighter tolerances, as stabilized.", **_EXPLICIT
    ),
    SolverInfo(
        "exponential",
        3,
        stages=None,
        fsal=False,
        use="Stiff gradient flows, down to about 1e-5: the fewest evaluations; symmetric Jacobians only.",
        **_EXPLICIT,
    ),
    SolverInfo("kvaerno3", 3, stages=4, fsal=True, use="Very stiff small problems, loose tolerances.", **_IMPLICIT),
    SolverInfo("kvaerno4", 4, stages=5, fsal=True, use="Very stiff small problems, medium tolerances.", **_IMPLICIT),
    SolverInfo("kvaerno5", 5, stages=7, fsal=True, use="Very stiff small problems, tight tolerances.", **_IMPLICIT),
)

SYMMETRIC: tuple[str, ...] = ("exponential",)  # only for flows whose Jacobian is symmetric

BY_KIND: dict[str, SolverInfo] = {solver.kind: solver for solver in SOLVERS}

# What a comparison may put on trial beside them: other packages' methods, by the names that those give them.
SCIPY: dict[str, str] = {"scipy_rk23": "RK23", "scipy_rk45": "RK45", "scipy_dop853": "DOP853"}
OPTAX: dict[str, str] = {f"optax_{kind}": kind for kind in ("sgd", "adam", "adagrad", "rmsprop")}
CONTESTANTS: tuple[str, ...] = (*BY_KIND, *SCIPY, *OPTAX)

AUTO = (
    "dopri8 for rtol ≤ 1e-5, tsit5 for looser tolerances; where a gradient flow turns stiff, stabilized4 "
    "(exponential for rtol ≥ 1e-5) takes over while it needs fewer evaluations."
)

# Rounding alone makes the error of a step about 100 units in the last place in float64 and 10 in float32; a test
# tighter than that compares noise with noise, and the step size collapses.
SMALLEST_RTOL: dict[str, float] = {"float64": 2.5e-14, "float32": 1.2e-6}

# (rtol, atol) of an experiment that gives none.
DEFAULT_TOLERANCES: dict[str, tuple[float, float]] = {"float64": (1e-8, 1e-10), "float32": (1e-5, 1e-7)}
