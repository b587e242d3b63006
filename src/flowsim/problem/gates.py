"""A function with kinks, taken apart: the numbers whose signs choose its smooth pieces, and each piece by itself.

ReLU, |x|, the larger of two numbers and `where(x > 0, c x, …)` are all h = off + gate · jump · z with a gate that is 0
where z < 0 and 1 where z > 0. Here the program of a function (its jaxpr) is evaluated with gates that are *given*, so
that every choice of them gives a smooth function, also beyond the kink where it ceases to be the original one.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .. import _tree
from .._types import Scalar
from .values import Value

_JUMP = {"max": 1.0, "min": -1.0, "abs": 2.0}
_ABOVE, _BELOW = ("gt", "ge"), ("lt", "le")
# A function with a derivative of its own is looked into only where it is made of these: `logaddexp` is smooth although
# it is computed from a maximum.
_PIECEWISE_LINEAR = {
    *("max", "min", "abs", "select_n", "add", "sub", "mul", "neg", "jit", "pjit", "convert_element_type", "copy"),
    *("broadcast_in_dim", "reshape", "squeeze", "transpose", "slice", *_ABOVE, *_BELOW),
}
_PROGRAM = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters under which an operation holds the program that it calls
_CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
}

_LOOPS = frozenset({"scan", "while", "cond"})


class Pieces(NamedTuple):
    """A function's value with given gates.

    **Fields:** `value`; `kinks`: the numbers z whose signs the gates stand for; `jumps`: by how much the slope of h
    in z is larger where z > 0; `places`: in how many places of the program they are formed.
    """

    value: Scalar
    kinks: Float[Array, "kinks"]
    jumps: Float[Array, "kinks"]
    places: int


def pieces(
    function: Callable[[PyTree], Scalar],
    parameters: PyTree,
    gates: Float[Array, "kinks"],
    shifts: Float[Array, "kinks"] | None = None,
) -> Pieces:
    """`function(parameters)` with given gates.

    **Arguments:** `gates`: of every kink; `shifts`: added to every h, so that their derivative is the risk's by h.
    """
    closed, leaves = _traced(function, parameters)
    walk = _Walk(gates, shifts)
    (value,) = walk.program(closed.jaxpr, closed.consts, [Value(x, True) for x in leaves])
    if not walk.kinks:
        nothing = jnp.zeros(0, gates.dtype)
        return Pieces(value.array, nothing, nothing, 0)
    jumps = [np.full(np.size(z), jump) for z, jump in zip(walk.kinks, walk.jumps, strict=True)]
    kinks = jnp.concatenate([jnp.ravel(z) for z in walk.kinks])
    return Pieces(value.array, kinks, jnp.asarray(np.concatenate(jumps), gates.dtype), len(walk.kinks))


def _traced(function: Callable[[PyTree], Scalar], parameters: PyTree) -> tuple[Any, list[Array]]:
    """The function's program, and the arrays that it takes."""
    leaves, structure = jax.tree.flatten(parameters)
    return jax.make_jaxpr(lambda *leaves: function(structure.unflatten(leaves)))(*leaves), leaves


class Count(NamedTuple):
    """How many kinks a function has, in how many places of its program, and may it have more that are not seen?"""

    kinks: int
    places: int
    hidden: bool


def count_kinks(function: Callable[[PyTree], Scalar], parameters: PyTree) -> Count:
    """The kinks of a function. Shapes only: nothing is computed."""
    found = None

    def look(parameters):
        nonlocal found
        closed, leaves = _traced(function, parameters)
        if not primitives(closed.jaxpr) & {*_JUMP, "select_n"}:
            found = Count(0, 0, False)
            return
        walk = _Walk(_AnyGates(_tree.dtype(parameters)), None)
        walk.program(closed.jaxpr, closed.consts, [Value(x, True) for x in leaves])
        found = Count(sum(int(np.prod(jnp.shape(z))) for z in walk.kinks), len(walk.kinks), walk.hidden)

    jax.eval_shape(look, parameters)
    assert found is not None
    return found


class _AnyGates:
    """As many gates as are asked for."""

    def __init__(self, dtype: Any):
        self._dtype = dtype

    def __getitem__(self, part: slice) -> Array:
        return jnp.zeros(part.stop - part.start, self._dtype)


class _Walk:
    """Evaluates programs, and gathers what it meets.

    **Fields:** `hidden`: are there kinks where a gate cannot be given, inside a loop or a branch?
    """

    def __init__(self, gates: Any, shifts: Float[Array, "kinks"] | None):
        self.hidden = False
        self._gates, self._shifts, self._met = gates, shifts, 0
        self.kinks: list[Array] = []
        self._done: dict[Any, tuple[list[Value], list[Any]]] = {}
        self.jumps: list[float] = []

    def program(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Value]) -> list[Value]:
        known: dict[Any, Value] = dict(zip(jaxpr.constvars, [Value(c, False) for c in consts], strict=True))
        known |= dict(zip(jaxpr.invars, args, strict=True))

        def read(atom: Any) -> Value:
            return Value(atom.val, False) if isinstance(atom, jex.Literal) else known[atom]

        for equation in jaxpr.eqns:
            outs = self._equation(equation, [read(atom) for atom in equation.invars])
            known |= dict(zip(equation.outvars, outs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, args: list[Value]) -> list[Value]:
        name, moves = equation.primitive.name, any(arg.moves for arg in args)
        if moves and name in _JUMP and args[0].is_float and not any(arg.unbounded for arg in args):
            return [Value(self._extremum(name, args), True)]
        if moves and name == "select_n" and len(args) == 3 and (found := self._choice(*args)) is not None:
            return [Value(found, True)]
        inner = _program(equation) if moves and name in _CALLS else None
        if inner is not None and _looked_into(name, inner[0]):
            return self.program(*inner, args)
        if moves and name in _LOOPS:
            self.hidden |= any(primitives(body) & set(_JUMP) for body in _bodies(equation))
        outs = self._once(equation, args)
        if len(outs) != 1:
            return [Value(out, moves) for out in outs]
        return [_noted(equation, Value(outs[0], moves), args)]

    def _once(self, equation: Any, args: list[Value]) -> list[Any]:
        """An operation's results; those of before if it was done before, so that x[2] is always the same array."""
        given = tuple(arg.identity for arg in args)
        key = (equation.primitive, _parameters(equation), given)
        if key not in self._done:
            self._done[key] = (args, _bind(equation, [arg.array for arg in args]))  # kept, so that no id comes again
        return self._done[key][1]

    def _extremum(self, name: str, args: list[Value]) -> Array:
        if name == "abs":
            return self._gated(args[0].array, -args[0].array, args[0].array, 2.0)
        one, other = args[0].array, args[1].array
        difference = one if args[1].zero else one - other
        above, below = (jnp.broadcast_to(x, jnp.shape(difference)) for x in (one, other))
        off, on = (below, above) if name == "max" else (above, below)
        return self._gated(difference, off, on, _JUMP[name])

    def _choice(self, test: Value, false: Value, true: Value) -> Array | None:
        """`where(x > 0, a x, b x)`; None for any other."""
        if test.test is None:
            return None
        tested, above = test.test
        x, (base, per) = tested.array, tested.multiple
        slopes = []
        for value in (true, false) if above else (false, true):
            of, factor = value.multiple
            if not (value.zero or of is base):
                return None
            slopes.append(0.0 if value.zero else factor / per)
        on, off = slopes
        return self._gated(x, off * x, on * x, on - off)

    def _gated(self, z: Array, off: Array, on: Array, jump: float) -> Array:
        """h between its two sides, with the next gates. A side is taken as it is: it may be huge where the other is."""
        part = slice(self._met, self._met + int(np.prod(jnp.shape(z))))
        self._met = part.stop
        self.kinks.append(z)
        self.jumps.append(jump)
        gate = jax.lax.stop_gradient(jnp.reshape(self._gates[part], jnp.shape(z)))
        h = jnp.where(gate == 0, off, jnp.where(gate == 1, on, (1 - gate) * off + gate * on))
        return h if self._shifts is None else h + jnp.reshape(self._shifts[part], jnp.shape(z))


def _noted(equation: Any, out: Value, args: list[Value]) -> Value:
    """The result of an operation, with what is known of it beside its number."""
    name = equation.primitive.name
    if name in (*_ABOVE, *_BELOW) and args[0].moves and args[1].zero and args[0].is_float:
        return out._replace(test=(args[0], name in _ABOVE))
    if name == "neg" and args[0].moves:
        of, factor = args[0].multiple
        return out._replace(of=of, factor=-factor)
    if name == "mul":
        for one, other in (args, args[::-1]):
            if one.moves and (number := other.number):
                of, factor = one.multiple
                return out._replace(of=of, factor=factor * number)
    if name == "div" and args[0].moves and (number := args[1].number):
        of, factor = args[0].multiple
        return out._replace(of=of, factor=factor / number)
    if name in ("broadcast_in_dim", "convert_element_type") and args[0].zero:
        return Value(np.zeros(jnp.shape(out.array), out.array.dtype), False)
    return out


def _parameters(equation: Any) -> Any:
    """What two operations share only if they do the same: parameters of plain values, else the operation itself."""
    return str(equation.params) if all(_is_plain(value) for value in equation.params.values()) else id(equation)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str | np.dtype)


def _program(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """The program that an operation calls, with its constants."""
    params: Mapping[str, Any] = equation.params
    inner = next((params[name] for name in _PROGRAM if name in params), None)
    if inner is None:
        return None
    return (inner.jaxpr, inner.consts) if isinstance(inner, jex.ClosedJaxpr) else (inner, ())


def _looked_into(name: str, jaxpr: Any) -> bool:
    found = primitives(jaxpr)
    return bool(found & {*_JUMP, "select_n"}) and (not name.startswith("custom") or found <= _PIECEWISE_LINEAR)


def primitives(jaxpr: Any) -> set[str]:
    """Names of all operations of a program and of those that it calls."""
    found = set()
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        inner = _program(equation)
        for body in _bodies(equation) if inner is None else (inner[0],):
            found |= primitives(body)
    return found


def _bodies(equation: Any) -> list[Any]:
    """The programs of a loop or of branches."""
    given = [x for value in equation.params.values() for x in (value if isinstance(value, tuple | list) else (value,))]
    return [x.jaxpr for x in given if isinstance(x, jex.ClosedJaxpr)]


def _bind(equation: Any, arrays: list[Any]) -> list[Any]:
    """An operation as it is: a program of nothing else."""
    given = {a: x for a, x in zip(equation.invars, arrays, strict=True) if not isinstance(a, jex.Literal)}
    alone = types.SimpleNamespace(constvars=(), invars=list(given), eqns=[equation], outvars=equation.outvars)
    return list(jax.core.eval_jaxpr(alone, (), *given.values()))  # type: ignore[arg-type]
