"""Train the head of the teacher that has heard many more people: models/embedding-12.

    pip install -e '.[teacher]'
    python data/make_teacher.py [--data data/speech_commands_v0.02] [--out models/embedding-12]

Google's speech embedding (see `echoic.training.embedding`) hears a few epochs of what the recipe
`gru` hears, augmented, once; the head then learns from these embeddings. How many epochs, how
often they are gone through and what the head is made of was chosen on validation.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from echoic import augmentation, bundle
from echoic import speech_commands as sc
from echoic.training import Recipe, embedding

MILD = 0.3
"""Strength of the augmentation in every fourth epoch, the first among them."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="gru")
    parser.add_argument("--data", type=Path, default=Path("data/speech_commands_v0.02"))
    parser.add_argument("--out", type=Path, default=Path("models/embedding-12"))
    parser.add_argument("--epochs", type=int, default=4, help="heard, each augmented afresh")
    parser.add_argument("--passes", type=int, default=6, help="of the head over all of them")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=2)
    arguments = parser.parse_args()

    recipe = Recipe.load(arguments.recipe)
    keras.utils.set_random_seed(arguments.seed)
    extras = [arguments.data.parent / name for name in recipe.data.extra]
    split = sc.load(arguments.data, recipe.data, "training", extra=extras)
    embed = embedding.SpeechEmbedding()
    heard, targets, words = [], [], []
    for epoch in range(arguments.epochs):
        strength = recipe.augmentation if epoch % 4 else recipe.augmentation.milder(MILD)
        rng = np.random.default_rng([arguments.seed, epoch])
        drawn = split.draw(rng, forged_fraction=recipe.data.forged_fraction)
        for i in range(0, len(drawn), embedding.BLOCK):
            part = drawn[i : i + embedding.BLOCK]
            waveforms, answers = split.take(part, rng)
            waveforms = augmentation.augment_waveforms(
                waveforms,
                strength,
                noises=split.noises,
                sample_rate=recipe.features.sample_rate,
                rng=rng,
            )
            heard.append(embed(waveforms))
            targets.append(answers)
            words.append(split.words_of(part))
        print(f"epoch {epoch + 1} of {arguments.epochs} heard", flush=True)
    x = np.concatenate(heard)
    labels = np.eye(len(split.labels), dtype=np.float32)[np.concatenate(targets)]
    named = np.eye(split.n_words, dtype=np.float32)[np.concatenate(words)]

    head, learner = embedding.build_head(
        n_labels=len(split.labels),
        n_words=split.n_words,
        mean=x.mean(axis=(0, 1)),
        variance=x.var(axis=(0, 1)),
    )
    steps = arguments.passes * (len(x) // arguments.batch_size)
    crossentropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)
    learner.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(2e-3, max(steps, 1)), weight_decay=0.02
        ),
        loss=[crossentropy, crossentropy],
        loss_weights=[1.0, recipe.training.word_loss],
    )
    learner.fit(
        x, [labels, named], batch_size=arguments.batch_size, epochs=arguments.passes, verbose=2
    )

    validation = sc.load(arguments.data, recipe.data, "validation").examples()
    said = head.predict(embed(validation.waveforms), verbose=0).argmax(axis=-1)
    right = said == validation.targets
    recalls = [right[validation.targets == i].mean() for i in np.unique(validation.targets)]
    content = {
        "labels": list(split.labels),
        "validation": {
            "n": len(right),
            "accuracy": round(float(right.mean()), 4),
            "mean_recall": round(float(np.mean(recalls)), 4),
        },
        "training": {
            "recipe": arguments.recipe,
            "data": arguments.data.name,
            "extra": [folder.name for folder in extras],
            "epochs": arguments.epochs,
            "passes": arguments.passes,
            "seed": arguments.seed,
            "files_sha256": sc.fingerprint(arguments.data, recipe.data, extra=extras),
            "versions": bundle.versions(),
        },
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    head.save(arguments.out / embedding.HEAD)
    (arguments.out / embedding.FILE).write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["validation"]))


if __name__ == "__main__":
    main()
