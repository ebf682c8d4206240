"""Keras callbacks of a run: its progress and its log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Progress:
    """The state of a run, as ``on_progress`` receives it.

    Attributes
    ----------
    epoch, epochs
        The current epoch, from 1, and their number.
    clips, clips_per_epoch
        Clips of this epoch that are done, and all.
    rate
        Clips a second in this epoch, everything included.
    remaining
        Estimated time to the end of the run (s).
    logs
        The figures so far; those of validation (``val_...``) at the end of the epoch.
    """

    epoch: int
    epochs: int
    clips: int
    clips_per_epoch: int
    rate: float
    remaining: float
    logs: dict[str, float]


class ProgressReporter(keras.callbacks.Callback):
    """Calls ``report`` a few times a second and after every epoch."""

    def __init__(
        self, clips: int, epochs: int, batch_size: int, report: Callable[[Progress], None]
    ) -> None:
        super().__init__()
        self.clips, self.epochs, self.batch_size, self.report = clips, epochs, batch_size, report
        self.epoch, self.begun, self.reported = 0, 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch, self.begun, self.reported = epoch, time.monotonic(), 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if time.monotonic() - self.reported > 0.2:
            self._report((batch + 1) * self.batch_size, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._report(self.clips, logs)

    def _report(self, clips: int, logs: dict[str, float] | None) -> None:
        self.reported = time.monotonic()
        rate = clips / max(self.reported - self.begun, 1e-9)
        left = (self.epochs - self.epoch) * self.clips - clips
        figures = {key: float(value) for key, value in (logs or {}).items()}
        self.report(
            Progress(self.epoch + 1, self.epochs, clips, self.clips, rate, left / rate, figures)
        )


class CsvLog(keras.callbacks.CSVLogger):
    """A CSV file that an error closes as well; Keras would leave it open."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if (file := getattr(self, "csv_file", None)) is not None:
            file.close()
