"""Listening live: blocks of sound in, words out, and a view of what goes on.

listener = Listener(Recognizer.load().stream(), outputs=[Lines()])
with Microphone(on_event=listener.on_event) as source:  # or FileSource("stream.wav")
    listener.listen(source)

A microphone and a file take the same path. Each `Output` hears every block, what was detected in
it and what happened to the stream: lines of text or JSON, the view in a terminal, recordings.
"""

from echoic.live.listener import Listener, Output, with_threshold
from echoic.live.outputs import Clips, JsonLines, Lines, Recording
from echoic.live.voice import Voice, half_duplex, loudspeaker

__all__ = [
    "Clips",
    "JsonLines",
    "Lines",
    "Listener",
    "Output",
    "Recording",
    "Voice",
    "half_duplex",
    "loudspeaker",
    "with_threshold",
]
