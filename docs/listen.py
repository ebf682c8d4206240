"""Draw docs/listen.svg and docs/listen_memory.svg: ``echoic listen`` on the sample stream.

python docs/listen.py [OUT] [MODEL]

The picture of ``--memory`` goes beside OUT, as OUT's name with ``_memory``.
"""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from echoic.live import Listener
from echoic.live.heatmap import StateHeatmap
from echoic.live.view import View
from echoic.microphone import FileSource
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import StreamingRecognizer

ROOT = Path(__file__).parents[1]
MOMENT = 16.6
"""When the picture is taken (s): a word has just been said."""


def main(out: str = str(ROOT / "docs" / "listen.svg"), model: str = "gru-12") -> None:
    path = Path(out)
    draw(path, model, memory=False)
    draw(path.with_stem(f"{path.stem}_memory"), model, memory=True)


def draw(path: Path, model: str, *, memory: bool) -> None:
    bundle = Bundle.load(model)
    stream = StreamingRecognizer(bundle)
    influence = stream.influence() if memory else None
    listener = Listener(stream, config=bundle.decoder)
    source = FileSource(ROOT / "data" / "sample" / "stream.wav")
    source.name = "data/sample/stream.wav"
    heatmap = None if influence is None else StateHeatmap(influence)
    view = View(listener, source, name=bundle.name, heatmap=heatmap)
    listener.outputs = [view]
    for block in source:
        listener.process(block)
        if block.end >= MOMENT - 1e-6:
            break
    console = Console(
        record=True,
        width=100,
        height=26,
        force_terminal=True,
        color_system="truecolor",
        file=io.StringIO(),
        highlight=False,
    )
    console.print(view)
    svg = console.export_svg(
        title="echoic listen --wav data/sample/stream.wav" + " --memory" * memory,
        theme=MONOKAI,
        unique_id=path.stem.replace("_", "-"),
    )
    path.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
