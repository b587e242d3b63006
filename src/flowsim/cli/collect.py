"""`flowsim collect`: all members of a sweep in one dataset, one table, one page."""

import pathlib
from typing import Annotated

import typer

from .._files import StoreError
from ..sweep import Sweep, SweepError, states
from .command import command
from .output import Output


@command
def collect(
    output: Output,
    folder: Annotated[pathlib.Path, typer.Argument(metavar="DIR", help="The folder of a sweep.")],
    figure: Annotated[
        list[str] | None,
        typer.Option(
            "--figure", metavar="NAME", help="Draw this: final_loss, event_time.NAME, or a ratio a/b; repeatable."
        ),
    ] = None,
    trajectories: Annotated[
        bool, typer.Option("--trajectories/--no-trajectories", help="Also everything over time, where times agree.")
    ] = True,
) -> None:
    """Collect a sweep, complete or not, into sweep.nc, sweep.csv, figures and report.html in its folder.

    \b
    Examples:
      flowsim collect sweeps/figure1
      flowsim collect sweeps/figure1 --figure event_time.phase1_end --figure final_loss
    """
    try:
        sweep = Sweep.read(folder)
        from ..plot import CannotDraw  # these load the plotting stack
        from ..sweep.collect import DATASET, TABLE
        from ..sweep.collect import collect as collected
        from ..sweep.figures import draw, page_of

        found = states(sweep)
        dataset = collected(sweep, found, trajectories=trajectories)
        drawn = draw(sweep, dataset, found, figure or ())
    except (SweepError, StoreError) as error:
        output.refuse(f"{error}.")
    except CannotDraw as error:
        output.refuse(f"{error}.")
    counts = found.counts
    if counts["done"] < len(found.members):
        output.say(f"{counts['done']} of {len(found.members)} members are done; the others are empty.")
    for line in drawn.left_out:
        output.say(f"no figure of {line}")
    for law in drawn.exponents:
        low, high = law.interval
        output.say(f"{law.quantity} ~ {law.axis}^{law.exponent:.3f} (95 %: {low:.3f} … {high:.3f})")
    files = [DATASET, TABLE, page_of(sweep)]
    for name in files:
        output.data(str(folder / name))
    output.document(
        {
            "folder": str(folder),
            **counts,
            "files": [*files, *(f"figures/{name}.png" for name in drawn.names)],
            "exponents": [
                {"quantity": x.quantity, "axis": x.axis, "exponent": x.exponent, "interval": list(x.interval)}
                for x in drawn.exponents
            ],
        }
    )
