"""`init`: where the flow starts."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..base import FilePath, NotNegative, Positive, about
from ..kind import Kind, Traits, kind, section_fields
from ..remark import Remark


@section_fields("init")
class InitKind(Kind):
    """Where the flow starts; what every start can be changed by."""

    scale: Positive = about("Every trained weight is multiplied by it.", 1.0, unit="1")
    balanced: bool = about("W_Q is W_K times a random rotation.", False)
    centered: bool = about("Subtract the prediction at the start, of a model scaled_output.", False)


@kind("init", "kaiming_uniform")
class KaimingUniform(InitKind):
    """U(±1/√fan_in)."""

    def build(self, context: Any) -> Any:
        from ... import init

        return init.kaiming_uniform()


@kind("init", "kaiming_normal")
class KaimingNormal(InitKind):
    """N(0, 2/fan_in)."""

    traits: ClassVar[Traits] = Traits(gaussian=True)

    def build(self, context: Any) -> Any:
        from ... import init

        return init.kaiming_normal()


@kind("init", "gaussian")
class Gaussian(InitKind):
    """W ~ N(0, sigma1²), the rest N(0, sigma0²)."""

    traits: ClassVar[Traits] = Traits(starts="paper", gaussian=True)

    sigma0: NotNegative = about("Standard deviation of W_V, W_K, W_Q.", example=0.05, unit="weight")
    sigma1: NotNegative = about("Standard deviation of W.", example=0.06, unit="weight")

    def build(self, context: Any) -> Any:
        from ... import init

        return init.gaussian(sigma0=self.sigma0, sigma1=self.sigma1)


@kind("init", "theory")
class Theory(InitKind):
    """Gaussian with the scales of Condition 1: sigma0 = c0/√(L m), sigma1 = c1/√m1."""

    traits: ClassVar[Traits] = Traits(starts="paper", gaussian=True, limit=True)

    c0: Positive = about("σ0 = c0/√(L m).", 0.25, unit="1")
    c1: Positive = about("σ1 = c1/√m1.", 0.25, unit="1")

    def build(self, context: Any) -> Any:
        from ... import init

        return init.theory(length=context.task.length, c0=self.c0, c1=self.c1)


@kind("init", "file")
class FileInit(InitKind):
    """Weights `W`, `W_V`, `W_K`, `W_Q`, `a` from an `.npz` or `.safetensors` file."""

    traits: ClassVar[Traits] = Traits(starts="paper")

    path: FilePath = about(
        "An `.npz` or `.safetensors` file with `W`, `W_V`, `W_K`, `W_Q`, `a`, as a run's `parameters.safetensors`.",
        example="weights.npz",
    )

    def named_files(self) -> Mapping[str, str]:
        return {"path": self.path}

    def try_files(self, experiment: Any, folder: pathlib.Path) -> Iterator[tuple[str, str]]:
        from ..arrays import load_weights, refusals

        model = experiment.model
        paper = model is not None and model.traits.paper
        sizes = {"width": model.width, "neurons": model.neurons} if paper else {}
        vocabulary = getattr(experiment.task, "vocabulary", None)
        yield from refusals("path", lambda: load_weights(folder / self.path, **sizes, vocabulary=vocabulary))

    def build(self, context: Any) -> Any:
        from ... import init
        from ..arrays import load_weights

        return init.from_arrays(**load_weights(context.path(self.path)))


@kind("init", "run")
class RunInit(InitKind):
    """Where another run ended: the parameters of its run folder."""

    path: FilePath = about("The run folder.", example="runs/figure1/2026-01-31T12-00-00Z-1a2b")

    def named_files(self) -> Mapping[str, str]:
        return {"path": self.path}

    def try_files(self, experiment: Any, folder: pathlib.Path) -> Iterator[tuple[str, str]]:
        from ..array_files import headers
        from ..arrays import refusals

        yield from refusals("path", lambda: headers(folder / self.path / "parameters.safetensors"))

    def build(self, context: Any) -> Any:
        from ... import init
        from ...store import load

        folder = context.path(self.path)
        return init.from_named(load(folder).parameters, str(self.path))


class _OfLayers(InitKind):
    """A balanced start of a deep linear network's layers."""

    def check(self, experiment: Any) -> Iterator[Remark]:
        model = experiment.model
        if model is not None and model.kind != "deep_linear":
            yield Remark((), f"must not be {self.kind} for the model {model.kind}", "take deep_linear")


@kind("init", "balanced_layers")
class BalancedLayers(_OfLayers):
    """Layers of one Gaussian product, balanced: W_(l+1)ᵀW_(l+1) = W_l W_lᵀ."""

    sigma: Positive = about("Standard deviation of the product's entries.", example=1.0e-3, unit="product of weights")

    def build(self, context: Any) -> Any:
        from ... import init

        return init.balanced_layers(sigma=self.sigma)


@kind("init", "mode_aligned")
class ModeAligned(_OfLayers):
    """Balanced layers whose product is aligned with the task's modes, each of which then learns alone."""

    strength: Positive = about(
        "Singular value of every mode of the product at the start.", example=1.0e-6, unit="product of weights"
    )

    def build(self, context: Any) -> Any:
        from ... import init

        return init.mode_aligned(context.task, strength=self.strength)


@kind("init", "as_made")
class AsMade(InitKind):
    """What the model drew itself when it was made."""

    def build(self, context: Any) -> Any:
        from ... import init

        return init.as_made()
