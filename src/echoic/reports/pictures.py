"""Pictures of a result, by the names that it gives."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from echoic import plots
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.result import Result
from echoic.evaluation.streams import StreamEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@singledispatch
def pictures(result: Result, model: str) -> dict[str, Figure]:
    """Draw the pictures that a result names.

    Parameters
    ----------
    result
        What `evaluate_split` and its like return.
    model
        Name of the model, for the titles.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By file name, those of ``result.pictures``.
    """
    if result.pictures:
        raise TypeError(
            f"Expected a result whose pictures can be drawn, received {type(result).__name__} "
            f"with {', '.join(result.pictures)}: register a function with `pictures.register`."
        )
    return {}


@pictures.register(Evaluation)
def _confusion(result: Evaluation, model: str) -> dict[str, Figure]:
    title = f"{model} on {result.protocol}, {len(result.examples):,} clips"
    figure = plots.confusion_matrix(result.confusion, labels=result.examples.labels, title=title)
    return {"confusion.png": figure}


@pictures.register(StreamEvaluation)
def _det_curve(result: StreamEvaluation, model: str) -> dict[str, Figure]:
    if not result.pictures:
        return {}
    counted = result.negatives or result.total
    figure = plots.det_curve(
        [point.false_accepts for point in result.points],
        [point.miss_rate for point in result.points],
        hours=counted.hours,
        repeats=1 if result.negatives else result.repeats,
        thresholds=[point.enter for point in result.points],
        chosen=(counted.false_accepts, result.total.miss_rate),
        title=f"{model} in streams: {result.total.words:,} words, {counted.hours:.2f} h of "
        + ("other sound" if result.negatives else "streams"),
    )
    return {"det.png": figure}
