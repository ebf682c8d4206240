"""The files of a run: how it began, its checkpoints, its best weights.

Every file is either whole or not there, so a run survives being killed at any time.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from echoic.config import Recipe
from echoic.files import atomic
from echoic.runtime import bundle as bundles


class RunFolder:
    """The working folder of a run, ``.training`` in the model's folder.

    ``recipe.json`` says how the run began: its recipe, and the names of its inputs.

    Attributes
    ----------
    path
        The folder.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / ".training"
        self._out = out
        self._note = self.path / "recipe.json"

    def check(self, begin: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Make sure that a run may begin here, or go on.

        Parameters
        ----------
        begin
            The recipe's tables, and ``inputs``.
        resume, overwrite
            See `training.train`.

        Raises
        ------
        FileExistsError
            There is a model or an unfinished run, and neither ``resume`` nor ``overwrite``.
        FileNotFoundError, ValueError
            ``resume``, and there is no run, or it began otherwise.
        """
        if resume:
            self._check_resumed(begin)
        elif not overwrite:
            self._check_free()

    def begin(self, begin: dict[str, Any]) -> None:
        """Make the folder, in place of one that was there."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        with atomic(self._note) as partial:
            partial.write_text(json.dumps(begin, indent=1), encoding="utf-8")

    def _check_resumed(self, begin: dict[str, Any]) -> None:
        if not self._note.exists():
            raise FileNotFoundError(f"No run to resume in {self._out}. Start it without --resume.")
        begun = json.loads(self._note.read_text(encoding="utf-8"))
        inputs = begun.pop("inputs", {})
        # A setting that is newer than the run has its default.
        begun = _as_json({**Recipe.from_dict(begun).to_dict(), "inputs": inputs})
        changed = [
            f"{section}.{key}: {begun.get(section, {}).get(key)!r} then, {value!r} now"
            for section, table in _as_json(begin).items()
            for key, value in table.items()
            if begun.get(section, {}).get(key) != value
        ]
        if changed:
            raise ValueError(
                f"Expected to resume the run in {self._out} as it began, received "
                f"{'; '.join(changed)}. Give what it began with, or another --out."
            )

    def _check_free(self) -> None:
        has_model = (self._out / bundles.FILE).exists()
        if has_model or self._note.exists():
            raise FileExistsError(
                f"{self._out} holds {'a model' if has_model else 'an unfinished run'} already. "
                "Resume it (--resume), replace it (--overwrite) or choose another --out."
            )


def _as_json(tables: dict[str, Any]) -> dict[str, Any]:
    """Return tables as JSON reads them: with lists for tuples."""
    return dict(json.loads(json.dumps(tables)))


class Checkpoints(keras.callbacks.Callback):
    """Saves the run at the end of each epoch.

    ``epoch-NNNN.weights.h5`` holds weights and optimizer, ``epoch-NNNN.json`` the state that Keras
    leaves out: the best epoch, the history and the random states of dropout. The JSON is written
    first, so weights are never without it. ``best.weights.h5`` is the epoch with the best
    validation accuracy; it is written last.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.best: dict[str, float] = {}
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {key: float(value) for key, value in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, **figures})
        if not self.best or _rank(figures) > _rank(self.best):
            self.best = {"epoch": epoch + 1, **figures}
        state = {
            "epoch": epoch + 1,
            "best": self.best,
            "history": self.history,
            "random": [ops.convert_to_numpy(v).tolist() for v in self._random_states()],
        }
        name = f"epoch-{epoch + 1:04d}"
        with atomic(self.folder / f"{name}.json") as partial:
            partial.write_text(json.dumps(state))
        self._save_weights(f"{name}.weights.h5")
        self._keep_best(epoch + 1)
        for old in self.folder.glob("epoch-*"):
            if not old.name.startswith(name):
                old.unlink()

    def restore(self) -> int:
        """Load the last whole checkpoint; return the number of epochs that are done."""
        whole = sorted(self.folder.glob("epoch-*.weights.h5"))
        if not whole:
            return 0
        state = json.loads(whole[-1].with_name(f"{whole[-1].name[:10]}.json").read_text())
        self.model.load_weights(whole[-1])
        self.best, self.history = state["best"], state["history"]
        for variable, value in zip(self._random_states(), state["random"], strict=True):
            variable.assign(value)
        self._keep_best(state["epoch"])  # the run may have been killed before
        return int(state["epoch"])

    def load_best(self) -> None:
        """Load the weights of the best epoch."""
        self.model.load_weights(self.folder / "best.weights.h5")

    @property
    def curves(self) -> dict[str, list[float]]:
        """The history by figure."""
        return {key: [row[key] for row in self.history] for key in self.history[0]}

    def _keep_best(self, epoch: int) -> None:
        if self.best["epoch"] == epoch:
            self._save_weights("best.weights.h5")

    def _random_states(self) -> list[Any]:
        return [v for v in self.model.variables if v.name == "seed_generator_state"]

    def _save_weights(self, name: str) -> None:
        with atomic(self.folder / name) as partial:
            self.model.save_weights(partial)


def _rank(figures: dict[str, float]) -> tuple[float, float]:
    return figures["val_accuracy"], -figures["val_loss"]


def cached(file: Path, compute: Any) -> npt.NDArray[Any]:
    """Return an array that was computed once in a run; a resumed run reads it."""
    if not file.exists():
        with atomic(file) as partial:
            np.save(partial, compute())
    return np.asarray(np.load(file))
