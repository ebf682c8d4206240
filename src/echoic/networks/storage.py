"""A network's file, ``model.keras``: written without its optimizer, read without running code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras

from echoic.files import atomic
from echoic.networks import frontend, layers, pretrained  # noqa: F401 (they register layers)
from echoic.runtime.bundle import Bundle

FILE = "model.keras"
"""Name of the network in a model's folder."""


def load(model: Bundle | str | Path) -> keras.Model:
    """Load the network of a model's folder, or a ``.keras`` file, in safe mode.

    No code that is in the file is run.

    Parameters
    ----------
    model
        A bundle, or the path of a Keras file.

    Raises
    ------
    ValueError
        There is no such file, or it is no Keras model.
    """
    path = model.path / FILE if isinstance(model, Bundle) else Path(model)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def save(model: Any, path: Path) -> None:
    """Save a network without its optimizer, which would make the file three times as large."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with atomic(path) as partial:
        whole = partial.with_name(f"whole-{path.name}")
        bare.save(whole)
        # Keras stores its parts uncompressed; compression saves a seventh.
        with (
            zipfile.ZipFile(whole) as parts,
            zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for name in parts.namelist():
                packed.writestr(name, parts.read(name))
