"""An assistant: a wake word, then a command, perhaps a number; then an action.

    assistant = Assistant(wake="go")

    @assistant.on("left")
    def left(order):
        print(order.time)

    with Microphone() as source:
        assistant.run(source)

`Dialogue` decides from words and their times alone, a `Command` acts, and `Assistant` is the loop
around them.
"""

from echoic.assistant.actions import ActionError, Command
from echoic.assistant.dialogue import NUMBERS, Dialogue, Order, Turn
from echoic.assistant.loop import Assistant

__all__ = ["NUMBERS", "ActionError", "Assistant", "Command", "Dialogue", "Order", "Turn"]
