"""Make two data sets of many words by many synthesizers, for training to hear beside people.

    python data/make_voices.py [--dest data]
    echoic train small

Speech Commands has few words that are no command; a recognizer that knows thirty words takes the
next one for one of them. In `voices/` are 343 more, and the commands as well, or a network would
learn that a synthesizer never means a command; in `rivals/` are 125 that are one sound away from a
command, as "goes" and "bright" are. The voices are the training voices of the sample set
(`make_sample.py`), each in several sizes; the words that `recipes/gru.toml` keeps unseen are not
among these words, and no other word sounds the same as a command or as one of them.
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
RIVALS = """\
ago all an ann ape app are aunt awe bite bow bright chess con cough dan dawn dean den dine don
done doubt dough downs drown earn fight foe glow goal goat goes gone gown grow guess guy height
honor if in inn ion joe john kite knee knight known knows laughed lawn lent less let lift loft low
mess might nah new night node nope note noun now odd of offer oh op or ought our owe own pawn pup
rat rate rhyme rice ride rights riot ripe rise ron root route row sean show sight so star steep
step stock stopped stops swap theft though tight toe top town uh um upper ups us use white writer
wrote yell yen yep yet yup
"""
VOICES_PER_WORD, VOICES_PER_RIVAL, VOICES_PER_COMMAND = 16, 24, 60
SIZES = (0.94, 1.0, 1.08)
"""Vocal tracts, as factors of every frequency."""


def voices() -> list[Voice]:
    """The training voices of the sample set, each in `SIZES`."""
    return [
        dataclasses.replace(voice, tract=round(voice.tract * size, 3))
        for voice in VOICES
        if voice.split == "training"
        for size in SIZES
    ]


def plan(counts: dict[str, int]) -> dict[Voice, list[str]]:
    """Which voice says which words, each of them said by so many voices."""
    everyone = voices()
    words: dict[Voice, list[str]] = {voice: [] for voice in everyone}
    for word, count in counts.items():
        for index in generator("voices", word).permutation(len(everyone))[:count]:
            words[everyone[index]].append(word)
    return words


def speak(task: tuple[Voice, list[str]], *, dest: Path) -> int:
    """Write one voice's words; returns how many."""
    voice, words = task
    written = 0
    for word, waveform in zip(words, make_sample.say(voice, words), strict=True):
        try:
            clip = make_sample.record(voice, word, make_sample.trim(waveform))
        except ValueError:  # too long for a clip of a second
            continue
        make_sample.write(dest / word / f"{voice.speaker}_nohash_0.wav", clip)
        written += 1
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description="Many words by many synthesizers.")
    parser.add_argument("--dest", type=Path, default=Path(__file__).resolve().parent)
    dest = parser.parse_args().dest
    make_sample.check_programs()
    sets = {
        "voices": {
            **dict.fromkeys(COMMANDS, VOICES_PER_COMMAND),
            **dict.fromkeys(WORDS.split(), VOICES_PER_WORD),
        },
        "rivals": dict.fromkeys(RIVALS.split(), VOICES_PER_RIVAL),
    }
    for name, counts in sets.items():
        shutil.rmtree(dest / name, ignore_errors=True)
        with ProcessPoolExecutor() as pool:
            made = sum(pool.map(partial(speak, dest=dest / name), plan(counts).items()))
        print(f"{made} clips of {len(counts)} words in {dest / name}")


if __name__ == "__main__":
    main()
