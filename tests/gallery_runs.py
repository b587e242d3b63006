"""Runs of the gallery's experiments in this process, without a run folder."""

from flowsim import gallery
from flowsim.config import load
from flowsim.config.yaml_text import read_text
from flowsim.experiment import build
from flowsim.result import assemble
from flowsim.simulation import run as integrate
from flowsim.sweep.verify import Member


def judged(name, overrides=()):
    """The verdicts on a paper's experiment, by id."""
    paper = gallery.paper(name)
    paper.register()
    experiment = load(paper.experiment, list(overrides))
    build.configure(experiment.precision)
    member, problem = Member(experiment, paper.folder), build.problem(experiment, paper.folder)
    prepared = member.instrument(problem, build.prepared(experiment, problem, paper.folder))
    found = member.judged(problem, prepared, assemble(prepared, integrate(prepared)))
    return {verdict.claim.id: verdict for verdict in found.verdicts}


def broken(name):
    """(overrides, ids of the claims that they break) of a paper."""
    from ruamel.yaml import YAML

    rows = YAML(typ="safe").load(read_text(gallery.paper(name).folder / "broken.yaml"))
    return [(row["overrides"], row["fails"]) for row in rows]
