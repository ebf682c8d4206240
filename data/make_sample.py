"""Make `data/sample`: a miniature Speech Commands set spoken by synthesizers.

    python data/make_sample.py [--dest data/sample]

Every clip is spoken by a free speech synthesizer of Debian (flite, espeak-ng, festival); the set
holds no recording of a person. The layout is that of Google Speech Commands. All randomness comes
from one seed and the names of voice and word: on one kind of machine, the same Debian release,
numpy and soxr write the same bytes every time.

A clip is made in four steps: synthesize a word, cut it out of its silence (`trim`), place it at a
random time in a clip of up to a second, and add the room tone of the speaker (`record`).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import math
import shutil
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from echoic.data.splits import LISTS, SplitName, hash_split

SEED = 1859
SAMPLE_RATE = 16_000
PEAK = 0.9  # no sample is louder; real clips that clip are the exception
SHORTEST, LONGEST = 0.30, 0.65  # seconds of a natural word
AUDIBLE_DB = 32.0  # what is this far under the loudest 10 ms of a word is its silence
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
OTHER_WORDS = ("bed", "bird", "cat", "happy", "four", "five", "eight")
UNKNOWN = "_unknown_"
NOISES = ("pink_noise", "white_noise", "fan", "running_water")
NOISE_SECONDS = 9.0

PACKAGES = {"flite": "flite", "espeak-ng": "espeak-ng", "festival": "festival"}
FESTIVAL_PACKAGES = {
    "kal_diphone": "festvox-kallpc16k",
    "ked_diphone": "festvox-kdlpc16k",
    "cmu_us_slt_arctic_hts": "festvox-us-slt-hts",
}


@dataclass(frozen=True)
class Voice:
    """One speaker of the set.

    `stretch` multiplies durations. `pitch` is a mean in Hz for flite and festival, and 0 to 99 for
    espeak-ng (50 is the variant's own). `tract` multiplies every frequency, formants and pitch
    alike, as a shorter vocal tract does: 1.15 turns a man's voice into that of another, smaller
    person.
    """

    synthesizer: str
    name: str
    split: SplitName = "training"
    stretch: float = 1.0
    pitch: float | None = None
    tract: float = 1.0

    @property
    def title(self) -> str:
        suffix = "" if self.tract == 1.0 else f" x{self.tract:g}"
        return f"{self.synthesizer} {self.name}{suffix}"

    @property
    def speaker(self) -> str:
        """Eight hex digits from the SHA-1 of the title.

        A number is appended to the title until the hash rule of the Speech Commands paper puts
        the speaker in the split of the lists, so that both ways to split agree.
        """
        for count in itertools.count():
            text = self.title if count == 0 else f"{self.title} {count}"
            speaker = hashlib.sha1(text.encode()).hexdigest()[:8]
            if hash_split(speaker) == self.split:
                return speaker
        raise AssertionError  # itertools.count() does not end


# Voices made from recordings of one person (slt and slt-hts, kal16 and kal, ked and its smaller
# self) are in the same split, and no espeak-ng variant is used twice. The stream is spoken by test
# speakers.
VOICES = (
    Voice("flite", "slt", "test", stretch=1.3),
    Voice("flite", "rms", "test", stretch=1.1),
    Voice("flite", "awb", "test", stretch=1.2),
    Voice("festival", "cmu_us_slt_arctic_hts", "test", stretch=1.4),
    Voice("espeak-ng", "en-us+Alex", "test", stretch=1.15, pitch=55),
    Voice("espeak-ng", "en-us+f2", "test", stretch=1.1),
    Voice("espeak-ng", "en-us+caleb", "validation", stretch=1.15, pitch=60),
    Voice("espeak-ng", "en-us-nyc+ed", "validation", stretch=1.1),
    Voice("espeak-ng", "en-gb+f4", "validation", stretch=1.1),
    Voice("espeak-ng", "en-gb+steph", "validation", stretch=1.15),
    Voice("espeak-ng", "en-gb-x-rp+m4", "validation", stretch=1.2, pitch=45),
    Voice("flite", "kal16", stretch=1.2),
    Voice("festival", "kal_diphone", stretch=1.35, pitch=125, tract=1.14),
    Voice("festival", "ked_diphone", stretch=1.4),
    Voice("festival", "ked_diphone", stretch=1.45, pitch=130, tract=1.2),
    Voice("espeak-ng", "en-us+f1", stretch=1.1),
    Voice("espeak-ng", "en-us+f5", stretch=1.2),
    Voice("espeak-ng", "en-us+aunty", stretch=1.05),
    Voice("espeak-ng", "en-us+m6", stretch=1.1, pitch=65),
    Voice("espeak-ng", "en-us-nyc+paul", stretch=1.2, pitch=50),
    Voice("espeak-ng", "en-gb+f3", stretch=1.2, pitch=60),
    Voice("espeak-ng", "en-us+miguel", stretch=1.2, pitch=65, tract=1.15),
    Voice("espeak-ng", "en-gb+m7", stretch=1.2, pitch=60),
    Voice("espeak-ng", "en-gb+Nguyen", stretch=1.2),
    Voice("espeak-ng", "en-gb+victor", stretch=1.15, pitch=40),
    Voice("espeak-ng", "en-gb-x-rp+grandpa", stretch=1.3),
    Voice("espeak-ng", "en-gb-x-rp+m1", stretch=1.2, pitch=40),
    Voice("espeak-ng", "en-gb-x-rp+m3", stretch=1.25, pitch=55),
    Voice("espeak-ng", "en-gb-x-rp+Gene2", stretch=1.35),
    Voice("espeak-ng", "en-gb-x-rp+Storm", stretch=1.3),
    Voice("espeak-ng", "en-gb-x-gbclan+max", stretch=1.2, pitch=60),
    Voice("espeak-ng", "en-gb-x-gbcwmd+edward2", stretch=1.15, pitch=65),
    Voice("espeak-ng", "en-gb-scotland+Hugo", stretch=1.25, pitch=60),
    Voice("espeak-ng", "en-029+Denis", stretch=1.2),
)

# (name of a test voice, word, stretch): slower or faster than the same voice in the set.
STREAM = (
    ("slt", "yes", 1.2),
    ("rms", "left", 1.05),
    ("awb", "go", 1.4),
    ("awb", "go", 1.3),
    ("cmu_us_slt_arctic_hts", "happy", 1.2),
    ("rms", "stop", 1.15),
    ("slt", "down", 1.4),
    ("awb", "no", 1.45),
    ("en-us+f2", "right", 1.25),
    ("rms", "on", 1.5),
)
STREAM_SNR_DB = 25.0


def generator(*names: str) -> np.random.Generator:
    """A random generator that depends on the seed and on the names, not on the order of work."""
    digest = hashlib.sha256("/".join((str(SEED), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


# --- synthesizers ---------------------------------------------------------------------------------


def check_programs() -> None:
    """Exit with the names of the Debian packages that are missing."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    installed = []
    if "festival" not in missing:
        listing = run(["festival", "-b", "(print (voice.list))"])
        installed = listing.replace("(", " ").replace(")", " ").split()
    missing += [package for voice, package in FESTIVAL_PACKAGES.items() if voice not in installed]
    if missing:
        sys.exit(f"Missing synthesizers or voices. On Debian: apt-get install {' '.join(missing)}")


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed ({done.returncode}): {' '.join(command)}\n{done.stderr}")
    return done.stdout


def say(voice: Voice, words: list[str]) -> list[np.ndarray]:
    """Waveforms of words at the tempo of the voice.

    Words that come out shorter than `SHORTEST` or longer than `LONGEST` seconds are said again,
    slower or faster: out of a sentence some voices swallow "on" and "up".
    """
    pairs = []
    waveforms = synthesize(voice, [(word, voice.stretch) for word in words])
    for word, waveform in zip(words, waveforms, strict=True):
        start, end = audible(waveform, AUDIBLE_DB)
        seconds = (end - start) / SAMPLE_RATE
        ratio = min(max(seconds, SHORTEST), LONGEST) / seconds
        pairs.append((word, voice.stretch * min(ratio, 2.0)))
    return synthesize(voice, pairs)


def synthesize(voice: Voice, words: list[tuple[str, float]]) -> list[np.ndarray]:
    """Waveforms at 16 kHz of (word, stretch) pairs, with the silence the synthesizer adds."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.wav" for index in range(len(words))]
        speak = {"flite": flite, "espeak-ng": espeak, "festival": festival}[voice.synthesizer]
        # Raising all frequencies by `tract` also shortens by as much: speak that much slower.
        speak(voice, [(word, stretch * voice.tract) for word, stretch in words], paths)
        return [read(path, voice.tract) for path in paths]


def flite(voice: Voice, words: list[tuple[str, float]], paths: list[Path]) -> None:
    for (word, stretch), path in zip(words, paths, strict=True):
        command = ["flite", "-voice", voice.name, "--setf", f"duration_stretch={stretch:g}"]
        if voice.pitch:
            command += ["--setf", f"int_f0_target_mean={voice.pitch / voice.tract:g}"]
        run([*command, "-t", word, "-o", str(path)])


def espeak(voice: Voice, words: list[tuple[str, float]], paths: list[Path]) -> None:
    for (word, stretch), path in zip(words, paths, strict=True):
        pitch = "50" if voice.pitch is None else f"{voice.pitch:g}"
        speed = str(round(175 / stretch))  # words per minute; 175 is its default
        run(["espeak-ng", "-v", voice.name, "-s", speed, "-p", pitch, "-z", "-w", str(path), word])


def festival(voice: Voice, words: list[tuple[str, float]], paths: list[Path]) -> None:
    lines = [f"(voice_{voice.name})"]
    if voice.pitch:
        mean = voice.pitch / voice.tract
        lines.append(
            f"(set! int_lr_params '((target_f0_mean {mean:g}) (target_f0_std 14)"
            " (model_f0_mean 170) (model_f0_std 34)))"
        )
    for (word, stretch), path in zip(words, paths, strict=True):
        lines.append(f"(Parameter.set 'Duration_Stretch {stretch:g})")
        if voice.name.endswith("_hts"):  # its engine has a rate of its own
            engine = f"{voice.name}::hts_engine_params"
            rate = f'(list (list "-r" {1 / stretch:g}))'
            lines.append(f"(set! hts_engine_params (append {engine} {rate}))")
        lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{word}")) "{path}" \'riff)')
    script = paths[0].parent / "words.scm"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(["festival", "-b", str(script)])


def read(path: Path, tract: float) -> np.ndarray:
    waveform, rate = soundfile.read(path, dtype="float64")
    return soxr.resample(waveform, rate * tract, SAMPLE_RATE)


# --- from a waveform to a clip --------------------------------------------------------------------


def audible(waveform: np.ndarray, below_peak_db: float) -> tuple[int, int]:
    """First and last sample whose 10 ms level is within `below_peak_db` of the loudest 10 ms."""
    width = SAMPLE_RATE // 100
    power = np.convolve(waveform**2, np.ones(width) / width, mode="same")
    loud = np.flatnonzero(power > power.max() * 10 ** (-below_peak_db / 10))
    return int(loud[0]), int(loud[-1]) + 1


def trim(waveform: np.ndarray) -> np.ndarray:
    """The word alone, with 40 ms before and 100 ms after it, faded in and out.

    The margins keep its faint ends; voices have a noise of their own 40 to 45 dB under the word,
    so a lower threshold would keep their silence.
    """
    before, after = SAMPLE_RATE // 25, SAMPLE_RATE // 10
    start, end = audible(waveform, AUDIBLE_DB)
    padded = np.pad(waveform - waveform.mean(), (before, after))
    word = padded[start : end + before + after].copy()
    word[:before] *= np.sin(np.linspace(0, math.pi / 2, before)) ** 2
    word[-after:] *= np.cos(np.linspace(0, math.pi / 2, after)) ** 2
    return word


def level_db(waveform: np.ndarray) -> float:
    return 10 * math.log10(float(np.mean(waveform**2)))


def at_level(waveform: np.ndarray, db: float) -> np.ndarray:
    """Scale to an RMS level in dBFS, or to as much as fits under `PEAK`."""
    gain = 10 ** ((db - level_db(waveform)) / 20)
    return waveform * min(gain, PEAK / np.abs(waveform).max())


def coloured_noise(rng: np.random.Generator, samples: int, slope: float) -> np.ndarray:
    """Gaussian noise with power proportional to f**-slope above 20 Hz, RMS 1.

    0 is white, 1 is pink, 2 is brown.
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(frequency, 20.0) ** (-slope / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, samples)
    return noise / np.sqrt(np.mean(noise**2))


def record(voice: Voice, word: str, speech: np.ndarray) -> np.ndarray:
    """One clip: the word at a time and a level of its own, in the speaker's room."""
    room = generator(voice.title, "room")
    usual_level, snr, slope = room.uniform(-26, -18), room.uniform(32, 45), room.uniform(0.5, 1.5)

    rng = generator(voice.title, word)
    speech = at_level(speech, np.clip(usual_level + rng.uniform(-4, 4), -30, -15))
    samples = SAMPLE_RATE if rng.random() < 0.4 else int(rng.integers(10_500, 14_000))
    samples = min(max(samples, len(speech) + SAMPLE_RATE // 8), SAMPLE_RATE)
    free = samples - len(speech)
    if free < SAMPLE_RATE // 20:
        raise ValueError(f"{voice.title!r} takes {len(speech)} samples to say {word!r}")
    start = int(free * rng.uniform(0.25, 0.75))
    clip = 10 ** ((level_db(speech) - snr) / 20) * coloured_noise(rng, samples, slope)
    clip[start : start + len(speech)] += speech
    return clip


def write(path: Path, waveform: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.rint(waveform * 32767).astype("<i2").tobytes())


# --- the parts of the set -------------------------------------------------------------------------


def make_clips(dest: Path) -> None:
    lists: dict[SplitName, list[str]] = {"validation": [], "test": [], "training": []}
    words = [*COMMANDS, *OTHER_WORDS]
    for voice in VOICES:
        for word, waveform in zip(words, say(voice, words), strict=True):
            name = f"{word}/{voice.speaker}_nohash_0.wav"
            write(dest / name, record(voice, word, trim(waveform)))
            lists[voice.split].append(name)
    for split, file in LISTS.items():
        text = "".join(f"{name}\n" for name in sorted(lists[split]))
        (dest / file).write_text(text, encoding="utf-8", newline="\n")


def make_noises(dest: Path) -> None:
    samples = int(NOISE_SECONDS * SAMPLE_RATE)
    time = np.arange(samples) / SAMPLE_RATE
    for name in NOISES:
        rng = generator(name)
        if name == "white_noise":
            noise = coloured_noise(rng, samples, 0.0)
        elif name == "pink_noise":
            noise = coloured_noise(rng, samples, 1.0)
        elif name == "fan":  # a breeze that the blades modulate, and the motor's hum
            noise = coloured_noise(rng, samples, 1.8) * (1 + 0.3 * np.sin(2 * np.pi * 11.0 * time))
            for harmonic in range(1, 6):
                phase = rng.uniform(0, 2 * np.pi)
                noise += 0.4 / harmonic * np.sin(2 * np.pi * 100.0 * harmonic * time + phase)
        else:  # running water: a hiss that gurgles
            gurgle = np.exp(0.35 * coloured_noise(rng, samples, 2.0))
            hiss = coloured_noise(rng, samples, 0.0)
            noise = np.convolve(hiss, [1.0, -0.8], mode="same") * gurgle
            noise += 0.5 * coloured_noise(rng, samples, 1.0)
        write(dest / "_background_noise_" / f"{name}.wav", at_level(noise, -24.0))


def make_stream(dest: Path) -> None:
    """Words at known times in one recording, with the times of what can be heard of each."""
    rng = generator("stream")
    voices = {voice.name: voice for voice in VOICES if voice.split == "test"}
    pieces, rows = [np.zeros(SAMPLE_RATE)], []
    position = SAMPLE_RATE
    for name, word, stretch in STREAM:
        speech = at_level(trim(synthesize(voices[name], [(word, stretch)])[0]), -20.0)
        start, end = audible(speech, STREAM_SNR_DB + 5)
        label = word if word in COMMANDS else UNKNOWN
        rows.append(((position + start) / SAMPLE_RATE, (position + end) / SAMPLE_RATE, label))
        pause = np.zeros(int(rng.uniform(0.9, 1.5) * SAMPLE_RATE))
        pieces += [speech, pause]
        position += len(speech) + len(pause)
    stream = np.concatenate(pieces)
    stream += 10 ** ((-20.0 - STREAM_SNR_DB) / 20) * coloured_noise(rng, len(stream), 1.0)
    write(dest / "stream.wav", stream)
    text = "".join(f"{start:.3f}\t{end:.3f}\t{label}\n" for start, end, label in rows)
    (dest / "stream.tsv").write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make a miniature synthetic data set in the layout of Speech Commands."
    )
    parser.add_argument(
        "--dest",
        type=Path,
        default=Path(__file__).resolve().parent / "sample",
        help="folder to write; WAVs of an earlier run there are replaced (default: %(default)s)",
    )
    dest = parser.parse_args().dest
    check_programs()
    for folder in (*COMMANDS, *OTHER_WORDS, "_background_noise_"):
        for path in (dest / folder).glob("*.wav"):
            path.unlink()
    make_clips(dest)
    make_noises(dest)
    make_stream(dest)
    paths = sorted(dest.rglob("*.wav"))
    size = sum(path.stat().st_size for path in paths)
    print(f"{len(VOICES)} voices, {len(paths)} files, {size / 1e6:.1f} MB in {dest}")


if __name__ == "__main__":
    main()
