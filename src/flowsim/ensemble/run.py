"""From seeds to an ensemble's result, by the backend that suits the device."""

import abc
import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
from jaxtyping import PyTree

from .. import _checks, _tree, reductions
from ..flows import AbstractFlow
from ..problem import Problem
from ..result import Result
from ..simulation import Prepared, Settings, prepare
from .alone import run_alone
from .loop import each, on_device
from .members import AbstractMembers, Joined, Listed, Member
from .record import EnsembleResult
from .together import Batch, members_at_once, run_batch

_SETTINGS = ("solver", "rtol", "atol", "step", "max_steps", "compensated")


class MemberStore(abc.ABC):
    """Where members that have ended are kept, so that an interruption does not lose them."""

    @abc.abstractmethod
    def get(self, seed: int) -> Member | None:
        """The member, None if it has not ended."""

    @abc.abstractmethod
    def put(self, seed: int, result: Result) -> None:
        """Keep a member's run, with its certificate if there is one; called from several threads."""


class _NoStore(MemberStore):
    def get(self, seed: int) -> Member | None:
        return None

    def put(self, seed: int, result: Result) -> None:
        pass


def simulate(
    make_problem: Callable[[Any], Problem],
    seeds: Sequence[int] | PyTree,
    *,
    t1: float,
    certificate: bool | str = False,
    workers: int | None = None,
    backend: str = "auto",
    batch: int | None = None,
    keep: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> EnsembleResult:
    """The flow of many problems of one shape.

    On a CPU each member is its own run, at its own steps, on one of the threads; all share the program that the first
    one compiles. So a member equals the single run of its seed, and one that ends early is not paid for afterwards. On
    an accelerator members step together, in batches that fit its memory, and agree with their single runs to rounding:
    steps, rows and event times of all of them are computed there, and what the host does does not grow with their
    number. Members that fail, that turn stiff, or whose events need a closer look are run by themselves.

    **Arguments:**

    - `make_problem`: seed -> `Problem`: another initialization, other data, or both. All need the same shapes.
    - `seeds`: their numbers. Or JAX or NumPy arrays with an axis of members in front (random keys, starts, a pytree):
      then `make_problem` is traced once, for its part of them, and mapped over it, which for 10⁵ small problems is the
      only quick way. Such members step together on a CPU too.
    - `t1`, `options`: as in `flowsim.simulate`.
    - `certificate`: certify every member; each costs about as much again as its run.
    - `workers`: threads; as many as there are cores by default.
    - `backend`: `loop` or `vmap`; by the default device if `auto`.
    - `batch`: members that step together; by memory if not given.
    - `keep`: names of the probes that are saved; all by default. Many members of many rows do not fit into memory.
    - `progress`: called with (members done, members) after every member, or batch.

    With `reduction="auto"` words that no sample holds stay in the state, because their number differs from one drawn
    task to the next, and every number would be compiled anew.

    **Raises:** as `flowsim.simulate`, for the first member that cannot be run.
    """
    mapped = _is_stacked(seeds)
    number = len(jax.tree.leaves(seeds)[0]) if mapped else len(seeds)
    if not number:
        raise ValueError("seeds must hold at least one seed.")
    first = make_problem(jax.tree.map(lambda x: x[0], seeds) if mapped else seeds[0])
    reduction = shared_reduction(options.pop("reduction", "auto"), first, options.get("flow"))
    chosen = {name: options.pop(name) for name in _SETTINGS if name in options}
    settings = Settings(t1, **chosen, certificate=certificate if isinstance(certificate, str) else "solver")
    user_probes = options.pop("probes", None) or {}

    def ready(problem: Problem) -> Prepared:
        return kept_only(prepare(problem, settings, user_probes=user_probes, reduction=reduction, **options), keep)

    choice: dict[str, Any] = {"batch": batch, "progress": progress}
    if mapped:
        if backend == "loop":
            raise ValueError("seeds in arrays make members that step together: leave out backend, or give a list.")
        return _mapped(make_problem, seeds, ready(first), number, certified=bool(certificate), **choice)
    choice |= {"workers": workers, "backend": backend}
    return run(lambda seed: ready(make_problem(seed)), seeds, certified=bool(certificate), **choice)


def _is_stacked(seeds: Any) -> bool:
    """Arrays with an axis of members in front, rather than numbers one by one?"""
    leaves = jax.tree.leaves(seeds)
    return bool(leaves) and all(_tree.is_array(x) and x.ndim > 0 for x in leaves)


def kept_only(prepared: Prepared, keep: Sequence[str] | None) -> Prepared:
    """The same run that saves no other probes than these.

    **Raises:** `ValueError` for a name that no probe has.
    """
    if keep is None:
        return prepared
    known = {probe.name: probe for probe in prepared.plan.probes}
    for name in keep:
        _checks.choice("keep", name, tuple(known))
    plan = dataclasses.replace(prepared.plan, probes=tuple(known[name] for name in dict.fromkeys(keep)))
    return dataclasses.replace(prepared, plan=plan)


def shared_reduction(name: str, first: Problem, flow: AbstractFlow | None = None) -> str:
    """The reduction that gives members of one shape, of those that are exact for the flow; None: the gradient flow."""
    if name != "auto":
        return name
    if flow is not None and not flow.traits.equivariant:
        return "none"
    chosen = reductions.reduce(first, "auto").name
    return "rotation" if chosen == "vocabulary" else chosen


def run(
    prepare: Callable[[int], Prepared],
    seeds: Sequence[int],
    *,
    certified: bool = False,
    workers: int | None = None,
    backend: str = "auto",
    batch: int | None = None,
    store: MemberStore | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EnsembleResult:
    """The ensemble of runs that `prepare` makes, seed by seed.

    **Arguments:** `store`: members found there are not run again; all others are put there as they end. The rest as
    for `simulate`.
    """
    if not seeds:
        raise ValueError("seeds must hold at least one seed.")
    if backend not in ("auto", "loop", "vmap"):
        raise ValueError(f"backend must be auto, loop or vmap, got {backend!r}.")
    store = store or _NoStore()
    if backend == "loop" or (backend == "auto" and jax.default_backend() == "cpu"):
        listed = list(_told(_one_by_one(prepare, seeds, certified, workers, store), len(seeds), progress))
        place = {seed: i for i, seed in enumerate(seeds)}
        return EnsembleResult(Listed(sorted(listed, key=lambda member: place[member.seed])))
    parts = _in_batches(prepare, seeds, certified, batch, store)
    return EnsembleResult(_joined(list(_told_of_batches(parts, len(seeds), progress))))


def _told(members: Iterable[Member], number: int, progress) -> Iterator[Member]:
    for done, member in enumerate(members, 1):
        yield member
        if progress is not None:
            progress(done, number)


def _told_of_batches(parts: Iterable[AbstractMembers], number: int, progress) -> Iterator[AbstractMembers]:
    done = 0
    for part in parts:
        yield part
        done += len(part)
        if progress is not None:
            progress(done, number)


def _joined(parts: Sequence[AbstractMembers]) -> AbstractMembers:
    return parts[0] if len(parts) == 1 else Joined(parts)


def _one_by_one(
    prepare, seeds: Sequence[int], certified: bool, workers: int | None, store: MemberStore
) -> Iterator[Member]:
    kept = {seed: member for seed in seeds if (member := store.get(seed)) is not None}
    yield from kept.values()

    def work(item: tuple[int, int]) -> Member:
        number, seed = item
        with on_device(number):
            return run_alone(seed, prepare(seed), certified=certified, put=store.put)

    rest = [(number, seed) for number, seed in enumerate(seeds) if seed not in kept]
    if rest:
        yield from each(work, rest, workers=workers)


def _in_batches(
    prepare, seeds: Sequence[int], certified: bool, batch: int | None, store: MemberStore
) -> Iterator[AbstractMembers]:
    """Batches are cut by number alone: one that is run again is the batch that it was."""
    first = prepare(seeds[0])
    if not _steps_together(first):
        yield Listed(list(_one_by_one(prepare, seeds, certified, None, store)))
        return
    devices = jax.local_devices()
    size = min(batch or members_at_once(first, len(seeds)), len(seeds))

    def work(start: int) -> AbstractMembers:
        own, device = seeds[start : start + size], devices[start // size % len(devices)]
        kept = [member for seed in own if (member := store.get(seed)) is not None]
        if len(kept) == len(own):
            return Listed(kept)
        put = None if isinstance(store, _NoStore) else store.put
        with on_device(start // size):
            return run_batch(Batch.of(prepare, own, size, device), certified=certified, put=put)

    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:  # one batch at a time on each device
        yield from pool.map(work, range(0, len(seeds), size))


def _steps_together(prepared: Prepared) -> bool:
    """Not a flow whose stages end at events, and not for a certificate from the Gram system."""
    return not prepared.plan.flow.traits.staged and prepared.settings.certificate != "gram"


def _mapped(make, seeds: PyTree, first: Prepared, number: int, *, certified: bool, batch, progress) -> EnsembleResult:
    if not _steps_together(first):
        raise ValueError("a staged flow or a gram certificate needs its members one by one: give a list of seeds.")
    size = min(batch or members_at_once(first, number), number)

    def work(start: int) -> AbstractMembers:
        stop = min(start + size, number)
        inputs = jax.tree.map(lambda x: x[start:stop], seeds)
        with on_device(start // size):
            return run_batch(Batch.mapped(make, inputs, first, range(start, stop), size), certified=certified)

    with concurrent.futures.ThreadPoolExecutor(len(jax.local_devices())) as pool:
        parts = pool.map(work, range(0, number, size))
        return EnsembleResult(_joined(list(_told_of_batches(parts, number, progress))))
