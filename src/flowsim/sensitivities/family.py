"""A family of problems to first order: its member at ε, and how everything in it changes with ε."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .. import _checks, _tree, reductions
from ..flows import AbstractFlow, Change
from ..moment import Lift
from ..problem import Problem
from ..reductions import Reduction

_ROUNDINGS = 1e4  # of an array's largest number, by which two families' problems may differ
_CONCRETE = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)

Family = Callable[[Float[Array, "..."]], Problem]


class Member(eqx.Module):
    """A family at ε, in the coordinates that are integrated.

    **Fields:** `reduction`: with the reduced problem; `lift`: the way back; `change`: derivatives of the two.
    """

    reduction: Reduction
    lift: Lift
    change: Change


def directions(at: Float[Array, "..."]) -> int:
    """Number of derivatives: the entries of ε."""
    return int(np.prod(jnp.shape(at), dtype=int))


def expand(family: Family, at: Float[Array, "..."], reduction: str) -> Member:
    """Evaluate a family and differentiate it in every direction of ε.

    The family is run eagerly under forward mode: Python conditions on ε see its value, `float(ε)` and NumPy are
    refused by JAX. The reduction is differentiated with it: the bases that it chooses depend on the start. What a loss
    closes over becomes part of the problem.

    **Raises:** `TypeError` if the family does not give a `Problem`, or not a differentiable one; `ValueError` if no
    number in it depends on ε, or if a derivative is not finite.
    """
    if not callable(family):
        raise TypeError(f"the family must be a function ε -> flowsim.Problem, got {_checks.described(family)}.")
    if reduction != "auto":
        return _expand(family, at, reduction)
    try:
        return _expand(family, at, "auto")
    except _NotSmooth:
        # Dependent columns (a start at zero) have no differentiable basis.
        member = _expand(family, at, "none")
        reason = "the basis of the reduced coordinates is not differentiable at this start"
        return dataclasses.replace(member, reduction=reductions.identity(member.reduction.problem, reason))


def refuse_jumps(flow: AbstractFlow) -> None:
    """**Raises:** `ValueError` for a flow whose velocity jumps at events of its own: their times move too, and
    derivatives jump there."""
    if flow.traits.staged:
        raise ValueError("derivatives of a flow of stages are not computed: they jump where the stage changes; "
                         "differentiate one stage at a time, from where the stage before it ended.")  # fmt: skip
    if flow.traits.follows:
        raise ValueError("derivatives of a flow that follows kinks are not computed: they jump where a kink is met; "
                         "take gradient(kinks='none'), which withholds their bounds if one is.")  # fmt: skip


def _same(one: PyTree, other: PyTree) -> bool:
    """Are two pytrees equal to rounding? Families reach their problem by programs of their own."""
    here, there = jax.tree.leaves(one), jax.tree.leaves(other)
    if _tree.shapes(one) != _tree.shapes(other):
        return False
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(here, there, strict=True)]
    return all(np.max(np.abs(x - y), initial=0) <= _ROUNDINGS * np.finfo(x.dtype).eps * np.max(np.abs(x), initial=0)
               for x, y in pairs)  # fmt: skip


def joined(members: Sequence[Member]) -> Member:
    """Several families that pass through one and the same problem, as one with the directions of all.

    **Raises:** `ValueError` if they do not.
    """
    first = members[0]
    values = eqx.filter((first.reduction.problem, first.lift), eqx.is_inexact_array)
    for other in members[1:]:
        if not _same(values, eqx.filter((other.reduction.problem, other.lift), eqx.is_inexact_array)):
            raise ValueError("families that are differentiated in one run must agree at their ε: each of them changes "
                             "the problem of the experiment, and gives it back unchanged at 0.")  # fmt: skip
    sizes = [member.change.directions for member in members]

    def stack(x, *rows):
        if all(row is None for row in rows):
            return None
        # By NumPy: JAX would compile a program for every shape.
        pairs = zip(sizes, rows, strict=True)
        return jnp.asarray(np.concatenate([np.zeros((n, *x.shape), x.dtype) if r is None else r for n, r in pairs]))

    changes = [(member.change.problem, member.change.lift) for member in members]
    problem, lift = jax.tree.map(stack, values, *changes, is_leaf=lambda x: x is None)
    return dataclasses.replace(first, change=Change(problem, lift))


class _NotSmooth(ValueError):
    pass


def _expand(family: Family, at: Float[Array, "..."], name: str) -> Member:
    static: list[PyTree] = []

    def arrays(eps):
        problem = _member(family, eps)
        found = reductions.reduce(problem, name)
        whole = (found, Lift(problem, found.lift, found.recoverable))
        changing, rest = eqx.partition(whole, eqx.is_inexact_array)
        static.append(rest)
        return changing

    basis = jnp.eye(directions(at), dtype=at.dtype).reshape(-1, *at.shape)
    try:
        # The value of ε is not batched, so that Python's conditions and shapes see it.
        values, changes = jax.vmap(lambda d: jax.jvp(arrays, (at,), (d,)), out_axes=(None, 0))(basis)
    except Exception as error:
        if not any(isinstance(one, _CONCRETE) for one in (error, error.__cause__)):
            raise
        raise TypeError(
            "the family must be differentiable by JAX in ε: it makes ε, or what depends on it, a plain number "
            "(float, NumPy). Use jax.numpy throughout."
        ) from error
    found, lift = eqx.combine(values, static[-1])
    of_reduction, of_lift = jax.tree.map(lambda x: x if np.any(np.asarray(x) != 0) else None, changes)
    _check(jax.tree.leaves((of_reduction, of_lift)))
    return Member(found, lift, Change(of_reduction.problem, of_lift))


def _check(changes: list[Array]) -> None:
    if not changes:
        raise ValueError("no number in the family's problem depends on ε: there is nothing to differentiate.")
    if not all(np.all(np.isfinite(x)) for x in changes):
        raise _NotSmooth("the derivative of the family by ε is not finite: it is not smooth here, or its reduction "
                         "is not; use reduction='none', or another ε.")  # fmt: skip


def _member(family: Family, eps: Float[Array, "..."]) -> Problem:
    problem = family(eps)
    if not isinstance(problem, Problem):
        raise TypeError(f"the family must return a flowsim.Problem, got {type(problem).__name__}.")
    return eqx.tree_at(lambda p: p.loss, problem, _open(problem))


def _open(problem: Problem) -> Callable:
    """The loss, with the tracers that it closes over as arrays of its own; as it is where there are none."""
    if problem.task is None:
        example: tuple[Any, ...] = (problem.model(problem.parameters),)
    else:
        prediction = jax.eval_shape(lambda p: problem.predictions(p)[0], problem.parameters)
        example = (prediction, jax.ShapeDtypeStruct(problem.task.labels.shape[1:], problem.task.labels.dtype))
    arrays, static = eqx.partition(problem.loss, eqx.is_array)  # of a loss that is a module they are numbers of its own

    def value(arrays, *example):
        return eqx.combine(arrays, static)(*example)

    opened = eqx.filter_closure_convert(value, arrays, *example)
    return _Opened(opened, arrays) if _checks.is_traced(opened) else problem.loss


class _Opened(eqx.Module):
    """A loss whose closed-over numbers are arrays of its own."""

    function: Callable
    arrays: PyTree

    def __call__(self, *example: Any) -> Array:
        return self.function(self.arrays, *example)
