"""The look of every picture: colours, sizes, and the frame in which it is drawn."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating[Any]]

WIDTH = 8.0  # inches
DPI = 150
"""Pixels an inch of a PNG file."""
INK, GREY, PALE = "#222222", "#767676", "#CCCCCC"
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
LINES = ("-", "--", ":", "-.")  # One a round through the palette.
STYLE = {
    "figure.dpi": DPI,
    "figure.constrained_layout.h_pad": 0.06,  # inches
    "figure.constrained_layout.w_pad": 0.08,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # A "$" in a name or a title is a "$".
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "agg.path.chunksize": 20_000,  # A minute of samples is more than Agg draws as one path.
}


CARD_COLORS = 32
"""Colors of a chart that is kept beside a model; see `save`."""


def save(figure: Figure, path: str | Path, *, colors: int | None = None) -> None:
    """Write a figure as PNG, at 150 pixels an inch.

    The file holds neither dates nor versions: the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Of one of the functions of this module.
    path : str or Path
        Ends in ``.png``; its folder exists.
    colors : int, optional
        Write so many colors at most, 256 or less: a third of the bytes, which is for charts that
        are kept beside a model. Default: all there are.

    Raises
    ------
    ValueError
        If `path` does not end in ``.png``.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"Expected a path that ends in .png, received {path}. Name a PNG file.")
    content = png(figure)
    if colors:
        from PIL import Image  # matplotlib brings it

        with Image.open(io.BytesIO(content)) as image, io.BytesIO() as smaller:
            few = image.convert("RGB").quantize(
                colors,
                method=Image.Quantize.MAXCOVERAGE,  # a dot has a color of its own, too
                dither=Image.Dither.NONE,
            )
            few.save(smaller, format="png", optimize=True)
            content = smaller.getvalue()
    Path(path).write_bytes(content)


def png(figure: Figure, *, dpi: int = DPI) -> bytes:
    """Return a figure as the content of a PNG file: what `save` writes, or a notebook shows.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Of one of the functions of this module.
    dpi : int
        Pixels an inch.
    """
    content = io.BytesIO()
    with style():
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    return content.getvalue()


def style() -> AbstractContextManager[None]:
    import matplotlib.style

    return matplotlib.style.context(["default", STYLE])


@contextmanager
def new_figure(width: float, height: float, title: str) -> Iterator[Figure]:
    """Make a figure of this size in inches, in which the body draws; lay it out at the end."""
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, width=int(width * 9))  # Letters an inch, in 11 point bold.
    with style():
        figure = Figure(figsize=(width, height + 0.2 * len(lines)), layout="constrained")
        if lines:
            figure.suptitle("\n".join(lines), x=0.08 / width, ha="left")
        yield figure
        # Ticks take their style when first drawn, so that must happen here; and a layout that
        # is settled once makes every later drawing the same.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
