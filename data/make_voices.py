"""Make a data set of many words by many speech synthesizers, as extra training data.

    python data/make_voices.py [--dest data/voices]
    echoic train gru --data data/speech_commands_v0.02 --extra-data data/voices

Speech Commands has few words that are no command, and a network trained on thirty words takes the
next one for one of them. This set has 343 more. It has the commands as well, or a network would
learn that a synthesizer never says one. The voices are the training voices of the sample set
(`make_sample.py`), each with several vocal tracts. The words that `recipes/gru.toml` keeps unseen
are not in the set, and no other word sounds like them or like a command.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import make_sample
from make_sample import COMMANDS, VOICES, Voice, generator

WORDS = """\
able about after again air alarm alexa alone amber animal answer apple april arm around ask august
baby back bad ball banana bank basket beach bell big black blanket blue board boat book bottle box
bread bring brown brush build bus busy butter button buy cake call camera candle car chair change
cheese chicken child circle city class clean clear clock close coffee cold color come computer cook
cool corner count cow cup curtain dance dark day dear december desk diamond dinner doctor dollar
door dream dress drink drive early earth easy egg eleven empty end engine enough evening every exit
face fall family farm fast father feather finger finish fire fish floor flower fly food foot forest
friday friend fruit full garden gift girl glass gold good google grass green guitar hair hand hat
heart heavy hello help hill home honey hot hour ice inch iron island jacket jelly juice jump kettle
key king kitchen knife ladder lake lamp large laugh leaf lemon lesson letter library light line
lion listen little lock long loud love lucky lunch machine magic maybe meal melon menu milk mirror
monday money monkey moon morning mother mountain mouse movie music name nature neck needle never
news nobody noise nose number nurse ocean office okay onion open orange oven page paint paper party
pause peach pencil people pepper phone picture pillow pizza place play please pocket potato power
present pretty purple quarter queen question quick quiet rabbit radio rain reason record river road
robot rocket room salad salt sand saturday school screen season second september shadow shirt shoe
shower silver simple singer sister skin sleep slow small smile snow soap socket soft song soup
speaker spoon spring square stair start station stereo stone store story street strong student
sugar summer sunday sunshine table tablet teacher temple thank theater thunder ticket tiger timer
tomato tomorrow tower train travel turn twelve umbrella uncle under valley village violin volume
wagon wait walk wall warm wash watch water weather wednesday week welcome window winter wonder wood
work yard yellow yesterday young zebra
"""
VOICES_PER_WORD, VOICES_PER_COMMAND = 16, 60
SIZES = (0.94, 1.0, 1.08)
"""Factors of every frequency, one for each vocal tract."""


def voices() -> list[Voice]:
    """Return the training voices of the sample set, each in `SIZES`."""
    return [
        dataclasses.replace(voice, tract=round(voice.tract * size, 3))
        for voice in VOICES
        if voice.split == "training"
        for size in SIZES
    ]


def plan() -> dict[Voice, list[str]]:
    """Return the words of each voice."""
    everyone = voices()
    words: dict[Voice, list[str]] = {voice: [] for voice in everyone}
    for word in [*COMMANDS, *WORDS.split()]:
        count = VOICES_PER_COMMAND if word in COMMANDS else VOICES_PER_WORD
        for index in generator("voices", word).permutation(len(everyone))[:count]:
            words[everyone[index]].append(word)
    return words


def speak(task: tuple[Voice, list[str]], *, dest: Path) -> int:
    """Write the words of one voice; return how many."""
    voice, words = task
    written = 0
    for word, waveform in zip(words, make_sample.say(voice, words), strict=True):
        try:
            clip = make_sample.record(voice, word, make_sample.trim(waveform))
        except ValueError:  # longer than a clip
            continue
        make_sample.write(dest / word / f"{voice.speaker}_nohash_0.wav", clip)
        written += 1
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a data set by speech synthesizers.")
    parser.add_argument("--dest", type=Path, default=Path(__file__).resolve().parent / "voices")
    dest = parser.parse_args().dest
    make_sample.check_programs()
    shutil.rmtree(dest, ignore_errors=True)
    with ProcessPoolExecutor() as pool:
        made = sum(pool.map(partial(speak, dest=dest), plan().items()))
    print(f"{made} clips of {len(COMMANDS) + len(WORDS.split())} words in {dest}")


if __name__ == "__main__":
    main()
