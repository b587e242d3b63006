"""A run with the derivatives that its `sensitivities` ask for."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .. import _tree, sensitivities
from ..config import Context
from ..config.making import blamed, built, wrong_result
from ..config.schema import Experiment
from ..flows import AbstractFlow
from ..problem import Problem
from ..sensitivities.family import Member, expand, joined
from ..simulation import Prepared, Settings


def prepared(experiment: Experiment, here: Context, settings: Settings, flow: AbstractFlow, **parts: Any) -> Prepared:
    """The run of the experiment's problem with the tangents along all its families."""
    here = here.with_(problem=_with_weights(here.problem))
    name = sensitivities.reduction_of(flow, experiment.flow.reduction)
    members: list[Member] = []
    labels: list[str] = []
    for part in experiment.sensitivities:
        family = built(part, here)
        if not callable(family):
            raise wrong_result(part, family)
        named = getattr(part, "labels", None)  # a kind of a user's has one direction, at ε = 0
        with blamed(part, "the family"):
            at = jnp.zeros(()) if named is None else jnp.zeros(len(named()))
            members.append(expand(family, at, name))
        labels += [part.kind] if named is None else named()
    return sensitivities.prepare(joined(members), tuple(labels), flow, settings, **parts)


def _with_weights(problem: Problem) -> Problem:
    """The problem with the weights of its samples as an array, so that all families change one and the same."""
    if problem.task is None or problem.weights is not None:
        return problem
    ones = jnp.ones(problem.task.samples, _tree.dtype(problem.parameters))
    return eqx.tree_at(lambda p: p.weights, problem, ones, is_leaf=lambda x: x is None)
