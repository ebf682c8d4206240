"""Verbs that look inside: explain, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echoic.cli.extras import import_tensorflow
from echoic.cli.options import Json, ModelOption
from echoic.cli.rendering import print_json, progress_bar, show_memory


def explain(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    model: ModelOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The picture (PNG).", show_default="FILE's name -explained.png, here"),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(help="Explain the answer at this time (s).", show_default="the surest"),
    ] = None,
) -> None:
    """Draw the memory at work: states, gates, and what the decision leaned on."""
    import_tensorflow()
    from echoic import plots

    figure = plots.explained(model, file, at=at)
    target = out or Path(f"{file.stem}-explained.png")
    plots.save(figure, target)
    print(target)


def memory(
    out: Annotated[Path, typer.Option(help="The picture (PNG).")] = Path("memory.png"),
    seed: Annotated[int, typer.Option(min=0, help="Of the circles and of the weights.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Batches that each network learns from.")] = 800,
    as_json: Json = False,
) -> None:
    """Play the ice breaker: how far back do four networks remember? A minute or two."""
    import_tensorflow()
    from echoic import plots
    from echoic.explain import recall as games

    config = games.MemoryConfig(seed=seed, steps=steps)
    with progress_bar("batches") as progress:
        result = games.measure(config, on_progress=progress)
    plots.save(result.figure(), out)
    if as_json:
        for row in result.rows():
            print_json(row)
        return
    show_memory(result)
    print(out)
