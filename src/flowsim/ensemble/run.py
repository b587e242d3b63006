"""From seeds to an ensemble's result, by the backend that suits the device."""

import abc
import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from .. import reductions
from ..problem import Problem
from ..result import assemble
from ..simulation import Prepared, Settings, prepare
from ..simulation import run as integrate
from .loop import each, on_device
from .record import EnsembleResult, Member
from .together import certified_together, integrate_together, members_at_once, prepare_all

_SETTINGS = ("solver", "rtol", "atol", "step", "max_steps")


class MemberStore(abc.ABC):
    """Where members that have ended are kept, so that an interruption does not lose them."""

    @abc.abstractmethod
    def get(self, seed: int) -> Member | None:
        """The member, None if it has not ended."""

    @abc.abstractmethod
    def put(self, member: Member) -> None:
        """Keep a member; called from several threads."""


class _NoStore(MemberStore):
    def get(self, seed: int) -> Member | None:
        return None

    def put(self, member: Member) -> None:
        pass


def simulate(
    make_problem: Callable[[int], Problem],
    seeds: Sequence[int],
    *,
    t1: float,
    certificate: bool | str = False,
    workers: int | None = None,
    backend: str = "auto",
    batch: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> EnsembleResult:
    """The flow of many problems of one shape.

    On a CPU each member is its own run, at its own steps, on one of the threads; all share the program that the first
    one compiles. So a member equals the single run of its seed, and one that ends early is not paid for afterwards. On
    an accelerator members step together, in batches that fit its memory, and agree with their single runs to rounding;
    there a batch is paid for until its last member ends.

    **Arguments:**

    - `make_problem`: seed -> `Problem`: another initialization, other data, or both. All need the same shapes.
    - `seeds`: their numbers.
    - `t1`, `options`: as in `flowsim.simulate`.
    - `certificate`: certify every member; each costs about as much again as its run.
    - `workers`: threads; as many as there are cores by default.
    - `backend`: `loop` or `vmap`; by the default device if `auto`.
    - `batch`: members that step together; by memory if not given.
    - `progress`: called with (members done, members) after every member.

    With `reduction="auto"` words that no sample holds stay in the state, because their number differs from one drawn
    task to the next, and every number would be compiled anew.

    **Raises:** as `flowsim.simulate`, for the first member that cannot be run.
    """
    if not seeds:
        raise ValueError("seeds must hold at least one seed.")
    reduction = shared_reduction(options.pop("reduction", "auto"), make_problem(seeds[0]))
    chosen = {name: options.pop(name) for name in _SETTINGS if name in options}
    settings = Settings(t1, **chosen, certificate=certificate if isinstance(certificate, str) else "solver")
    user_probes = options.pop("probes", None) or {}

    def prepared(seed: int) -> Prepared:
        return prepare(make_problem(seed), settings, user_probes=user_probes, reduction=reduction, **options)

    choice: dict[str, Any] = {"workers": workers, "backend": backend, "batch": batch, "progress": progress}
    return run(prepared, seeds, certified=bool(certificate), **choice)


def shared_reduction(name: str, first: Problem) -> str:
    """The reduction that gives members of one shape."""
    if name != "auto":
        return name
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
        found = _one_by_one(prepare, seeds, certified, workers, store)
    else:
        found = _in_batches(prepare, seeds, certified, batch, store)
    members = []
    for member in found:
        members.append(member)
        if progress is not None:
            progress(len(members), len(seeds))
    place = {seed: i for i, seed in enumerate(seeds)}
    return EnsembleResult(tuple(sorted(members, key=lambda member: place[member.seed])))


def _one_by_one(
    prepare, seeds: Sequence[int], certified: bool, workers: int | None, store: MemberStore
) -> Iterator[Member]:
    kept = {seed: member for seed in seeds if (member := store.get(seed)) is not None}
    yield from kept.values()

    def work(item: tuple[int, int]) -> Member:
        number, seed = item
        with on_device(number):
            own = prepare(seed)
            member = Member.of(seed, assemble(own, integrate(own)), certified=certified)
        store.put(member)
        return member

    rest = [(number, seed) for number, seed in enumerate(seeds) if seed not in kept]
    if rest:
        yield from each(work, rest, workers=workers)


def _in_batches(
    prepare, seeds: Sequence[int], certified: bool, batch: int | None, store: MemberStore
) -> Iterator[Member]:
    """Batches are cut by number alone: one that is run again is the batch that it was."""
    devices = jax.local_devices()
    size = min(batch or members_at_once(prepare(seeds[0]), len(seeds)), len(seeds))

    def work(start: int) -> list[Member]:
        own, device = seeds[start : start + size], devices[start // size % len(devices)]
        kept = [member for seed in own if (member := store.get(seed)) is not None]
        if len(kept) == len(own):
            return kept
        prepared = prepare_all(prepare, own)
        results = integrate_together(prepared, size, device)
        if certified:
            results = certified_together(results, size, device)
        members = [Member.of(seed, result, certified=certified) for seed, result in zip(own, results, strict=True)]
        for member in members:
            store.put(member)
        return members

    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:  # one batch at a time on each device
        for members in pool.map(work, range(0, len(seeds), size)):
            yield from members
