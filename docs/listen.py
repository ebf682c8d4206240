"""Draw docs/listen.svg: the view of ``echoic listen`` while it hears the sample stream.

python docs/listen.py [OUT] [MODEL]
"""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from echoic.bundle import Bundle
from echoic.live import Listener
from echoic.live.view import View
from echoic.microphone import FileSource
from echoic.recognizer import StreamingRecognizer

ROOT = Path(__file__).parents[1]
MOMENT = 16.6
"""When the picture is taken (s): a word has just been said."""


def main(out: str = str(ROOT / "docs" / "listen.svg"), model: str = "gru-12") -> None:
    bundle = Bundle.load(model)
    listener = Listener(StreamingRecognizer(bundle), config=bundle.decoder)
    source = FileSource(ROOT / "data" / "sample" / "stream.wav")
    source.name = "data/sample/stream.wav"
    view = View(listener, source, name=bundle.name)
    listener.outputs = [view]
    for block in source:
        listener.hear(block)
        if block.end >= MOMENT:
            break
    console = Console(
        record=True, width=100, height=26, force_terminal=True, file=io.StringIO(), highlight=False
    )
    console.print(view)
    svg = console.export_svg(
        title="echoic listen --wav data/sample/stream.wav", theme=MONOKAI, unique_id="listen"
    )
    Path(out).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
