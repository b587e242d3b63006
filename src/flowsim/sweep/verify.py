"""Claims, measured over the seeds and sizes of an experiment."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from .. import ensemble, plot, report, store
from ..claims import AbstractTheory, Exponent, Point, Verdict, document, fit, scaling, tally, together, yang2024
from ..config import Source
from ..config.making import claims_of, judging, wrong_result
from ..config.problems import Place, refusal
from ..config.schema import Certificate, Experiment, Scaling
from ..experiment import build
from ..experiment.kept import Kept
from ..experiment.run import Progress, Stage, run_experiment
from ..experiment.run import Run as Made
from ..problem import Problem
from ..result import Result
from ..simulation import Prepared
from . import ensemble as _ensemble
from .expand import Plan, written
from .verification import Run, Runs, key_of, size_of


@dataclasses.dataclass(frozen=True)
class Verified:
    """What a verification found. `ok`: did every run reach its end?"""

    folder: pathlib.Path
    claims: dict[str, Any]
    ok: bool


def verify_experiment(
    source: Source,
    folder: pathlib.Path,
    *,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
    stage: Stage = lambda *_: None,
) -> Verified:
    """Run the experiment into `folder`, then its other seeds and its sizes, and judge every claim.

    The folder is a run folder of the first seed, with `claims.json` and a figure for each claim beside it. Where there
    are more runs, it is a sweep as well: each is an ordinary run folder in `members/`. Until all have ended it keeps
    every step of them too, for a resumed verification.

    **Raises:** as `run_experiment`; `ExperimentErrors` for an experiment of which nothing is claimed.
    """
    experiment = source.experiment
    _refuse_what_nothing_is_claimed_of(experiment)
    if experiment.claims and experiment.certificate.method == "none":  # the error bounds decide
        experiment = experiment.model_copy(update={"certificate": Certificate()})
    build.configure(experiment.precision)
    first, *others = experiment.seeds or (experiment.seed,)
    base, _ = _ensemble.first_member(experiment.model_copy(update={"seeds": (first, *others)}), source.folder)
    member = Member(base, source.folder)
    found: list[Verified] = []

    def rest(run: Made, home: store.RunFolder, who: store.Identity) -> None:
        stage("the other seeds and sizes, and the claims" if others or experiment.scaling else "the claims", "")
        judged = member.judged(run.problem, run.prepared, run.result)
        number = 1 + len(others) + sum(len(entry.values) * entry.seeds for entry in experiment.scaling)
        runs = Runs(home.path, source.folder, number)
        verification = _Verification(experiment, base, source.folder, Kept(home, who), say, runs)
        found.append(verification.write([judged.verdict, *verification.others(judged, others)], member.theory, home))

    outcome = run_experiment(
        Source(base, source.text, source.folder, "verify", experiment),
        folder,
        resume=resume,
        force=force,
        progress=progress,
        say=say,
        stage=stage,
        instrument=member.instrument,
        then=rest,
    )
    if found:
        return dataclasses.replace(found[0], folder=outcome.folder)
    return Verified(folder, store.read_json(folder / "claims.json"), outcome.ok)  # it had been finished before


@dataclasses.dataclass(frozen=True)
class _Verification:
    """What is left of a verification when its first run has been written."""

    experiment: Experiment
    base: Experiment
    folder: pathlib.Path
    kept: Kept
    say: Callable[[str], None]
    runs: Runs

    def others(self, first: "Judged", seeds: Sequence[int]) -> Iterator["Verdicts"]:
        """The runs of the other seeds. `first`: that of the first seed, which is a member like any other."""
        if not seeds and not self.experiment.scaling:
            return
        own, *rest = self.runs.over_seeds(self.base, (self.base.seed, *seeds))
        self.runs.put(own, first.result)
        if not rest:
            return
        for number, judged in enumerate(ensemble.each(self._seed, rest), start=2):
            yield judged
            self.say(f"seeds: {number} of {len(seeds) + 1}")

    def write(self, runs: list["Verdicts"], theory: AbstractTheory, home: store.RunFolder) -> Verified:
        """The verdicts over all runs and sizes, with their figures and the report."""
        exponents = [found for entry in self.experiment.scaling for found in self._sizes(entry)]
        verdicts = [run.verdicts for run in runs]
        tallies = [tally(column) for column in zip(*verdicts, strict=True)]
        if self.experiment.claims and not self.experiment.scaling:
            exponents = scaling.unmeasured(theory.laws, {found.claim.id for found in tallies})
        seeds = self.experiment.seeds or (self.experiment.seed,)
        content = document.claims(self.experiment.name, seeds, tallies, exponents, theory.constants)
        plot.draw_claims(verdicts, exponents, [run.phase1_end for run in runs], home.path / "figures" / "claims")
        document.write_claims(home.path, content)
        report.rebuild(home.path)
        return Verified(home.path, content, all(run.ok for run in runs))

    def _seed(self, run: Run) -> "Verdicts":
        return self._judged(run, f"seed-{run.experiment.seed}")[1].verdict

    def _judged(self, run: Run, name: str, *, certify: bool = True) -> tuple["Member", "Judged"]:
        member = Member(run.experiment, self.folder)
        judged = member.run(self.kept, name, certify=certify)
        self.runs.put(run, judged.result)
        return member, judged

    def _sizes(self, entry: Scaling) -> Iterator[Exponent]:
        experiment = _gram(self.experiment)
        plan, points, laws = self.runs.of_sizes(experiment, entry), [], ()
        for value in entry.values:
            self.say(f"{entry.over} = {value:g}: {entry.seeds} seeds")
            seeds = range(experiment.seed, experiment.seed + entry.seeds)
            runs = self.runs.at_size(plan, [self._point(plan, entry, value, seed) for seed in seeds])

            def judged(run: Run, value: float = value) -> tuple["Member", "Judged"]:
                name = f"{entry.over}={value!r}-seed-{run.experiment.seed}"
                return self._judged(run, name, certify=bool(experiment.claims))

            for seed, (member, found) in zip(seeds, ensemble.each(judged, runs), strict=True):
                points.append(Point(value, seed, found.evidence))
                laws = member.theory.laws
        within = scaling.WITHIN if experiment.claims else yang2024.DEFAULT.exponent
        for law in laws:
            with judging(law):
                (exponent,) = fit([law], entry.over, points, within=within)
            yield exponent

    def _point(self, plan: Plan, entry: Scaling, value: float, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Where a run stands on the axes, and what changes beside them."""
        values = {key_of(entry): size_of(self.experiment, entry, value), "seed": seed}
        if not entry.same_stage:
            return values, {}
        changed = plan.experiment([written(key, one) for key, one in values.items()])
        return values, _same_stage(self.experiment, changed, self.folder)


class Verdicts(NamedTuple):
    """What is kept of a run that was judged: not its weights, which for hundreds of runs do not fit into memory.

    **Fields:** `phase1_end`: where phase 1 ends, in runs that watch for it: the figures of the claims mark it.
    """

    verdicts: list[Verdict]
    phase1_end: float | None
    ok: bool


@dataclasses.dataclass(frozen=True)
class Judged:
    """One run with its verdicts."""

    result: Result
    evidence: Any
    verdicts: list[Verdict]

    @property
    def verdict(self) -> Verdicts:
        """What is kept of it."""
        record = self.result.events.get("phase1_end")
        return Verdicts(self.verdicts, None if record is None else record.time, self.result.status.ok)


class Member:
    """One run of a verification: an experiment of one seed, and the theory that it is evidence for."""

    def __init__(self, experiment: Experiment, folder: pathlib.Path):
        self.experiment, self.folder = experiment, folder
        self.theory: AbstractTheory = yang2024.THEORY

    def instrument(self, problem: Problem, prepared: Prepared) -> Prepared:
        """The run with what its claims need."""
        self.theory = theory_of(self.experiment, problem, self.folder)
        if self.theory is yang2024.THEORY and problem.samples.groups is None:
            raise refusal(Place("task"), "must have `groups`: the claims are about groups of samples.")
        try:
            return self.theory.instrument(problem, prepared)
        except ValueError as error:
            raise refusal(Place(self.experiment.name), f"{error}.", "claims") from None

    def run(self, kept: Kept, name: str, *, certify: bool = True) -> Judged:
        """Integrate and judge. Runs of equal shapes share one compiled program.

        **Arguments:** `kept`, `name`: where the run is kept, by which name.
        """
        problem = build.problem(self.experiment, self.folder)
        prepared = self.instrument(problem, build.prepared(self.experiment, problem, self.folder))
        certified = certify and self.experiment.certificate.method != "none"
        return self.judged(problem, prepared, kept.result(name, prepared, certified=certified), certify=certify)

    def judged(self, problem: Problem, prepared: Prepared, result: Result, *, certify: bool = True) -> Judged:
        """The verdicts on a run that was instrumented here."""
        if certify and self.experiment.certificate.method != "none":
            result = result.certified(result.certificate)
        evidence = self.theory.observe(problem, prepared, result, self._fresh)
        verdicts = []
        for claim in self.theory.claims:
            with judging(claim):
                verdicts.append(claim.verdict(evidence))
        return Judged(result, evidence, verdicts)

    def _fresh(self, samples: int) -> Any:
        task = self.experiment.task
        if task is None or not hasattr(task, "fresh"):
            return None
        return task.fresh(samples, build.Context(self.experiment, self.folder))


def theory_of(experiment: Experiment, problem: Problem, folder: pathlib.Path) -> AbstractTheory:
    """What an experiment's `claims` state of its problem; the home paper's claims where none are listed.

    **Raises:** `ExperimentErrors` for kinds that build anything but claims, power laws or one theory.
    """
    if not experiment.claims:
        return yang2024.THEORY
    here, found = build.context(experiment, problem, folder), []
    for part in experiment.claims:
        made = claims_of(part, here)
        try:
            together(made)
        except TypeError:
            raise wrong_result(part, made) from None
        found += made
    try:
        return together(found)
    except ValueError as error:
        raise refusal(Place(experiment.name), str(error), "claims") from None


def _refuse_what_nothing_is_claimed_of(experiment: Experiment) -> None:
    """Without `claims` an experiment must be the home paper's."""
    if experiment.claims and all(part.kind != "yang2024" for part in experiment.claims):
        return
    parts: Any = experiment
    if (
        experiment.problem is not None
        or not parts.model.traits.paper
        or parts.task.traits.inputs != "words"
        or parts.task.traits.labels != "sign"
    ):
        remedy = "list `claims` of your own (`docs/your-own-claim.md`), or take the paper's model and task"
        raise refusal(Place(experiment.name), f"must be of the paper's model and task, or have claims: {remedy}.")
    if math.isinf(parts.model.width):
        raise refusal(Place(experiment.name), "model.width must be finite: the claims are about neurons and words.")


def _gram(experiment: Experiment) -> Experiment:
    """The Gram system holds the width as a number, so that all widths share one compiled program."""
    if experiment.claims or experiment.flow.reduction != "auto" or getattr(experiment.task, "embedding", None):
        return experiment
    return experiment.model_copy(update={"flow": experiment.flow.model_copy(update={"reduction": "gram"})})


def _same_stage(base: Experiment, changed: Experiment, folder: pathlib.Path) -> dict[str, Any]:
    """By their keys, times stretched by the speeds at which training begins in the two experiments."""
    speeds = []
    for experiment in (base, changed):
        problem = build.problem(experiment, folder)
        speeds.append(theory_of(experiment, problem, folder).speed(problem))
    if None in speeds:
        return {}
    ratio, save = speeds[0] / speeds[1], base.save
    found: dict[str, Any] = {"flow.t1": base.flow.t1 * ratio}
    if save.spacing == "given":
        found["save.times"] = [time * ratio for time in save.times]
    elif save.spacing == "log":
        found["save.first"] = (save.first or 1e-3) * ratio
    return found
