"""Write data/whisper.keras: the initial weights of the recipe `whisper`.

    pip install huggingface_hub
    python data/make_whisper.py [--out data/whisper.keras]
    echoic train whisper --initial-weights data/whisper.keras

OpenAI's Whisper (Radford et al. 2022, arXiv:2212.04356) was trained to transcribe very many
recordings; OpenAI released its weights under the MIT licence. This script downloads those of the
smallest English model, tiny.en, from OpenAI's own repository on the Hugging Face Hub and copies
the encoder's into the network of the recipe. The normalization converts log-mel decibels to the
bels that the encoder was trained on. A file that is here already is read with ``--weights FILE``:
``model.safetensors`` of https://huggingface.co/openai/whisper-tiny.en.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
from make_embedding import network_on_bels

from echoic.config import Recipe

REPOSITORY, FILE = "openai/whisper-tiny.en", "model.safetensors"
DTYPES = {"F32": np.float32, "F16": np.float16}

Array = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help=f"a local {FILE}; default: download it")
    parser.add_argument("--out", type=Path, default=Path("data/whisper.keras"))
    args = parser.parse_args()
    weights = read_safetensors(args.weights or download())

    recipe = Recipe.load("whisper")
    # Whisper's transform is as long as its window; a longer one adds power to each band.
    bins = np.log10(recipe.features.n_fft / recipe.features.win_length)
    model = network_on_bels(recipe, offset=-bins)
    for layer in model.layers:
        if layer.name.startswith("whisper_encoder_1_") and layer.weights:
            label = layer.name.removeprefix("whisper_encoder_1_")
            layer.set_weights(weights_of(label, weights, shapes=[w.shape for w in layer.weights]))
    model.save(args.out)
    print(f"{args.out}: {model.count_params():,} parameters")


def download() -> Path:
    """Download the official weights, once; return the path in the cache."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        sys.exit(
            "Expected the package huggingface_hub, received none. Install it (pip install "
            f"huggingface_hub), or fetch {FILE} of https://huggingface.co/{REPOSITORY} and give "
            "its path with --weights."
        )
    return Path(hf_hub_download(REPOSITORY, FILE))


def read_safetensors(file: Path) -> dict[str, Array]:
    """Read a safetensors file, float32 by name.

    Its format: the length of the header (8 bytes, little-endian), the header as JSON with the
    dtype, shape and byte offsets of each array, then the bytes.
    """
    try:
        content = np.memmap(file, np.uint8, mode="r")
        start = 8 + int(content[:8].view("<u8")[0])
        header = json.loads(content[8:start].tobytes())
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in header.items():
            low, high = (start + offset for offset in entry["data_offsets"])
            values = content[low:high].tobytes()
            array = np.frombuffer(values, DTYPES[entry["dtype"]]).reshape(entry["shape"])
            arrays[name] = array.astype(np.float32)
    except FileNotFoundError:
        sys.exit(f"Expected a file of weights, received {file}: no such file.")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        sys.exit(f"Expected {file} to be a safetensors file of float weights: {error!r}.")
    return arrays


def weights_of(
    label: str, weights: dict[str, Array], *, shapes: list[tuple[int, ...]]
) -> list[Array]:
    """Return the weights of a layer of `networks.whisper_encoder`, in Keras's order.

    A linear layer of PyTorch has its kernel as (out, in), a convolution as (out, in, steps); both
    are transposed. A key has no bias in Whisper; Keras gets zeros.
    """

    def both(name: str) -> list[Array]:
        found = [f"model.encoder.{name}.{part}" for part in ("weight", "bias")]
        has_bias = not name.endswith("k_proj")
        for each in found[: 1 + has_bias]:
            if each not in weights:
                sys.exit(f"Expected weights of Whisper, received a file without {each}.")
        kernel = weights[found[0]].T
        bias = weights[found[1]] if has_bias else np.zeros(kernel.shape[-1], np.float32)
        return [kernel, bias]

    kind, _, number = label.rpartition("_")
    if kind == "conv":
        found = both(f"conv{number}")
    elif label == "norm":
        found = both("layer_norm")
    else:
        block = f"layers.{int(number) - 1}"
        parts = {
            "attention_norm": ["self_attn_layer_norm"],
            "attention": [f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")],
            "mlp_norm": ["final_layer_norm"],
            "expand": ["fc1"],
            "project": ["fc2"],
        }[kind]
        found = [array for part in parts for array in both(f"{block}.{part}")]
    try:
        return [array.reshape(shape) for array, shape in zip(found, shapes, strict=True)]
    except ValueError as error:
        sys.exit(f"Expected the weights of {REPOSITORY}, received another size ({error}).")


if __name__ == "__main__":
    main()
