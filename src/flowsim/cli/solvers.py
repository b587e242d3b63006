"""`flowsim solvers`: the solvers, their order, and when to use each."""

import dataclasses

from ..solver_names import AUTO, OPTAX, SCIPY, SOLVERS, SUNDIALS
from .command import command
from .output import Output


@command
def solvers(output: Output) -> None:
    """List the solvers, their order, and when to use each.

    A solver that is not adaptive needs solver.step, a fixed step size; any other takes solver.step instead of
    tolerances.
    """
    others = [*SCIPY, *SUNDIALS, *OPTAX]
    table = [dataclasses.asdict(solver) for solver in SOLVERS]
    output.document({"auto": AUTO, "solvers": table, "compare_only": others})
    output.data(f"{'kind':<12} {'order':>5} {'stages':>6}  {'steps':<8} {'type':<8}  use")
    output.data(f"{'auto':<12} {'':>5} {'':>6}  {'adaptive':<8} {'':<8}  {AUTO}")
    for solver in SOLVERS:
        stages = "varies" if solver.stages is None else str(solver.stages)
        steps = "adaptive" if solver.adaptive else "fixed"
        form = "implicit" if solver.implicit else "explicit"
        output.data(f"{solver.kind:<12} {solver.order:>5} {stages:>6}  {steps:<8} {form:<8}  {solver.use}")
    output.data("\nOther packages' methods, for `flowsim compare` alone:")
    output.data(
        f"{', '.join(SCIPY)}: SciPy's solve_ivp; {', '.join(SUNDIALS)}: CVODE of SUNDIALS (the extra `sundials`); "
        f"{', '.join(OPTAX)}: steps of Optax's optimizers."
    )
