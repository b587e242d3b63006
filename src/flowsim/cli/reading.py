"""How a command reads its words, where Typer's own way helps a person less than it could."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperArgument, TyperCommand

from ..config import Experiment


class Command(TyperCommand):
    """A command whose help names what an argument is once, and that knows a key of the experiment from an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if any(parameter.name in ("overrides", "values") for parameter in self.params):
            self._refuse_keys(ctx, args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Behind an argument's name Typer writes its Python type; the name, as EXPERIMENT.yaml, says it better."""
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = lambda *_, **__: None  # type: ignore[method-assign]
        super().format_options(ctx, formatter)

    def _refuse_keys(self, ctx: Any, args: Sequence[str]) -> None:
        options = {word for parameter in self.params for word in parameter.opts}
        for i, word in enumerate(args):
            if word == "--":
                return
            name, equals, value = word.partition("=")
            key = name.removeprefix("--")
            if key == name or name in options or key.split(".")[0] not in Experiment.model_fields:
                continue
            value = value if equals else next(iter(args[i + 1 : i + 2]), "VALUE")
            ctx.fail(f"there is no option {name}: it is a key of the experiment, so write {key}={value} without dashes")
