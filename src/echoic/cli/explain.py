"""Verbs that look inside a network: explain, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echoic.cli.extras import import_tensorflow
from echoic.cli.options import Json, ModelOption
from echoic.cli.rendering import print_json, progress_bar, show_memory


def explain(
    file: Annotated[Path, typer.Argument(help="Recording.")],
    model: ModelOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Picture (PNG).", show_default="FILE's name -explained.png, here"),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(
            help="Time (s) of the decision to explain.", show_default="the most probable word"
        ),
    ] = None,
) -> None:
    """Draw hidden states, gates, and the influence of each moment on a decision."""
    import_tensorflow()
    from echoic import plots
    from echoic.explain import pictures

    figure = pictures.explained(model, file, at=at)
    target = out or Path(f"{file.stem}-explained.png")
    plots.save(figure, target)
    print(target)


def memory(
    out: Annotated[Path, typer.Option(help="Picture (PNG).")] = Path("memory.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the games and of the weights.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Training batches of each network.")] = 800,
    as_json: Json = False,
) -> None:
    """Measure how far back four small networks remember (takes a minute or two)."""
    import_tensorflow()
    from echoic import plots
    from echoic.explain import pictures, recall

    config = recall.MemoryConfig(seed=seed, steps=steps)
    with progress_bar("batches") as progress:
        result = recall.measure(config, on_progress=progress)
    plots.save(pictures.recall(result, title="How far back four networks remember"), out)
    if as_json:
        for row in result.rows():
            print_json(row)
        return
    show_memory(result)
    print(out)
