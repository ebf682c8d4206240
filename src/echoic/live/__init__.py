"""Listening live: blocks of sound in, words out, and a view in the terminal.

    listener = Listener(Recognizer.load().stream(), outputs=[Lines()])
    with Microphone(on_event=listener.on_event) as source:  # or FileSource("stream.wav")
        listener.listen(source)

A microphone and a file take the same path. Each `Output` receives every block with its detections,
and the events of the stream: lines of text or JSON, the view in a terminal, recordings.
"""

from echoic.live.listener import Activity, EventName, Listener, Output
from echoic.live.outputs import Clips, JsonLines, Lines, Recording
from echoic.live.voice import Voice, half_duplex, loudspeaker

__all__ = [
    "Activity",
    "Clips",
    "EventName",
    "JsonLines",
    "Lines",
    "Listener",
    "Output",
    "Recording",
    "Voice",
    "half_duplex",
    "loudspeaker",
]
