"""A plugin with one toy of each section, as a user would write it: what `tests/test_toys.py` runs from YAML."""

import equinox as eqx
import jax
import jax.numpy as jnp

import flowsim
from flowsim.config import Kind, Remark


@flowsim.kind("task", "toy_task")
class ToyTask(Kind):
    """Signs of one feature."""

    samples: int = 4

    def build(self, context):
        x = jax.random.normal(context.key("task"), (self.samples, 2))
        return flowsim.tasks.Task(x, jnp.sign(x[:, 0]), None, None, 0)


class Linear(eqx.Module):
    w: jax.Array

    def __call__(self, x):
        return self.w @ x


@flowsim.kind("model", "toy_model")
class ToyModel(Kind):
    """A linear map."""

    size: float = 0.1

    def build(self, context):
        return Linear(self.size * jnp.ones(context.task.tokens.shape[-1]))


@flowsim.kind("loss", "toy_loss")
class ToyLoss(Kind):
    """Softplus of margin - y F."""

    margin: float = 1.0

    def check(self, experiment):
        if self.margin > 10:
            yield Remark(("margin",), "must be at most 10")

    def build(self, context):
        return lambda prediction, label: jax.nn.softplus(self.margin - label * prediction)


@flowsim.kind("init", "toy_init")
class ToyInit(Kind):
    """All weights alike."""

    value: float = 0.2

    def build(self, context):
        return lambda model, *, key: jax.tree.map(lambda w: jnp.full_like(w, self.value), model)


@flowsim.kind("probe", "toy_probe")
class ToyProbe(Kind):
    """A power of the norm of the weights."""

    power: int = 1

    def build(self, context):
        return lambda model: jnp.linalg.norm(model.w) ** self.power


@flowsim.kind("event", "toy_event")
class ToyEvent(Kind):
    """The first weight reaches `level`."""

    level: float = 0.3

    def build(self, context):
        return lambda t, model: model.w[0] - self.level


@flowsim.kind("flow", "toy_flow")
class ToyFlow(Kind):
    """The gradient flow at another speed."""

    speed: float = 0.5

    def build(self, context):
        return flowsim.flows.time_scales(rates={"w": self.speed})


@flowsim.kind("solver", "toy_solver")
class ToySolver(Kind):
    """Tsitouras' pair."""

    def build(self, context):
        import diffrax

        return diffrax.Tsit5()


@flowsim.kind("figure", "toy_figure")
class ToyFigure(Kind):
    """The toy probe over time."""

    color: str = "black"
    title: str = ""  # a file that holds it

    def build(self, context):
        title = context.path(self.title).read_text() if self.title else ""

        def figure(drawing):
            picture, (axes,) = drawing.panels(height=2.0)
            axes.set_title(title)
            axes.plot(drawing.dataset["time"], drawing.dataset["toy_probe"], color=self.color)
            return picture

        return figure


@flowsim.kind("claim", "toy_claim")
class ToyClaim(Kind):
    """The loss falls."""

    def build(self, context):
        @flowsim.claim(id="falls", statement="the loss falls", rule="last < first")
        def falls(evidence):
            return flowsim.claims.Finding.compare(evidence.value("loss", at=5.0), "<", evidence.value("loss", at=0.0))

        return falls


@flowsim.kind("problem", "toy_problem")
class ToyProblem(Kind):
    """Half the squared distance of a point from the origin."""

    x: float = 1.0

    def build(self, context):
        return flowsim.Problem.from_loss(lambda p: jnp.sum(p["x"] ** 2) / 2, {"x": jnp.array([self.x])})


@flowsim.kind("sensitivity", "toy_sensitivity")
class ToySensitivity(Kind):
    """A family by the size of the start."""

    def build(self, context):
        problem = context.problem

        def family(eps):
            scaled = jax.tree.map(lambda x: (1 + eps) * x, problem.parameters)
            return eqx.tree_at(lambda p: p.parameters, problem, scaled)

        return family


@flowsim.kind("log", "toy_log")
class ToyLog(Kind):
    """Counts chunks."""

    def build(self, context):
        return lambda time, values: None
