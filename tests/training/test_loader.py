"""The data loader: rows, epochs, and batches that do not depend on who prepares them."""

import dataclasses
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoic import data as datasets
from echoic import features, training
from echoic.config import Recipe
from echoic.data.examples import SILENT, SYNTHETIC
from echoic.training import DataLoader
from echoic.training.batcher import Batcher


@pytest.fixture(scope="module")
def loader(tiny_recipe, sample):
    recipe = Recipe.load(tiny_recipe)
    return DataLoader(datasets.load(sample, recipe.data, "training"), recipe)


def another(loader, *, augmentation=None, workers=0, **training_settings):
    """The same split with other settings."""
    recipe = dataclasses.replace(
        loader.recipe,
        training=dataclasses.replace(loader.recipe.training, **training_settings),
        augmentation=dataclasses.replace(loader.recipe.augmentation, **(augmentation or {})),
    )
    return DataLoader(loader.split, recipe, workers=workers)


def block(loader, indices, epoch=0, number=0):
    """Features and targets of any clips, as one block."""
    return loader.batcher.block(np.asarray(indices), epoch, number)[:2]


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# --- what a batch holds


def test_a_block_depends_on_its_key_alone(loader):
    indices = loader.draw(3)[:16].ravel()
    x, y = block(loader, indices, 3, 1)
    assert_equal(block(loader, indices, 3, 1), (x, y))
    for key in ((4, 1), (3, 2)):
        assert not np.array_equal(x, block(loader, indices, *key)[0])


def test_a_batch_has_features_and_smoothed_targets(loader):
    x, y = loader.batch(0, 1)
    assert x.shape == (loader.recipe.training.batch_size, 50, loader.recipe.features.channels)
    assert (x.dtype, y.dtype) == (np.float32, np.float32)
    assert y.shape == (len(x), 1, len(loader.split.labels))
    indices = loader.draw(0)[16:32].ravel()
    expected = 0.9 * np.eye(y.shape[-1])[loader.split.targets_of(indices)] + 0.1 / y.shape[-1]
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-6)


def test_targets_are_mixed_as_the_clips_are(loader):
    mixed = another(
        loader,
        augmentation={"mixup_probability": 1.0},
        auxiliary_loss_weight=0.5,
        label_smoothing=0.0,
    )
    n_clips = len(loader.split.source)
    indices = np.arange(0, n_clips, n_clips // 16)
    _, y = block(mixed, indices)
    n = len(loader.split.labels)
    labels, words = y[:, 0, :n], y[:, 0, n:]
    np.testing.assert_allclose(y.sum(axis=-1), 2, rtol=1e-6)  # one label, one word
    own = np.arange(len(indices)), loader.split.targets[indices]
    assert (labels[own] >= 0.5).all()
    assert ((words > 0).sum(axis=1) == 2).sum() > len(indices) / 2
    assert (np.sort(words, axis=1)[:, -1] >= 0.5).all()


STILL = {
    **{f"{name}_probability": 0.0 for name in ("reverberation", "noise", "bandwidth")},
    **{"speed_perturb_probability": 0.0, "shift": 0.0, "gain": (0.0, 0.0), "random_eq": 0.0},
    **{"time_masks": 0, "frequency_masks": 0},
}


def test_clips_of_a_row_are_one_stream(loader):
    plain = another(loader, augmentation=STILL, clips_per_sequence=4)
    x, y = block(plain, np.arange(8))
    assert y.shape == (2, 4, len(loader.split.labels))
    waveforms, targets = loader.split.take(np.arange(8), np.random.default_rng(0))
    np.testing.assert_array_equal(y.argmax(axis=-1).ravel(), targets)
    stream = features.compute(waveforms[:4].reshape(-1), loader.recipe.features)
    np.testing.assert_allclose(x[0], stream, atol=1e-3)


def test_an_epoch_of_rows_fills_them(loader):
    whole = another(loader, clips_per_sequence=3, batch_size=9999)
    assert whole.steps_per_epoch == 1
    assert len(whole.draw(0)) == whole.batch_rows > 1
    assert whole.batch_size == 3 * whole.batch_rows
    assert whole.batch(0, 0)[1].shape[:2] == (whole.batch_rows, 3)


def test_the_auxiliary_task_names_the_word(loader):
    both = another(loader, auxiliary_loss_weight=0.5)
    last = len(loader.split.source) - 1
    _, y = block(both, [0, last, SILENT, SYNTHETIC])
    labels, words = np.split(y[:, 0], [len(loader.split.labels)], axis=1)
    names = sorted(set(loader.split.source.labels))
    assert words.shape == (4, len(names) + 2)
    first, second = (names.index(loader.split.source.labels[i]) for i in (0, last))
    assert words.argmax(axis=1).tolist() == [first, second, len(names), len(names) + 1]
    assert [loader.split.labels[i] for i in labels.argmax(axis=1)[2:]] == ["_silence_", "_unknown_"]


def test_held_out_clips_are_alone_and_name_no_word(loader):
    both = another(loader, auxiliary_loss_weight=0.5)
    x, y = both.clean(loader.split.examples())
    assert (len(x), y.shape[1]) == (len(y), 1)
    assert (y[..., : len(loader.split.labels)].sum(axis=-1) == 1).all()
    assert not y[..., len(loader.split.labels) :].any()


def test_an_epoch_draws_afresh(loader):
    first, second = (np.sort(loader.draw(e).ravel()) for e in (0, 1))
    assert not np.array_equal(first, second)


def test_statistics_are_those_of_what_training_gets(loader):
    mean, variance = loader.statistics(batches=2)
    x = np.concatenate([loader.batch(0, number)[0] for number in range(2)])
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1), dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1), dtype=np.float64), rtol=1e-4)


def test_priors_are_the_fractions_of_an_epoch(loader):
    priors = loader.priors()
    labels = [loader.batch(0, n)[1].argmax(axis=-1) for n in range(loader.steps_per_epoch)]
    counts = np.bincount(np.concatenate(labels).ravel(), minlength=len(priors))
    np.testing.assert_allclose(priors, counts / counts.sum(), atol=1e-12)
    assert priors.sum() == pytest.approx(1)


def test_the_cooldown_has_weaker_augmentation(loader):
    epochs = loader.recipe.training.epochs
    strong = {"shift": 0.0, "noise_probability": 1.0}
    weak = another(loader, augmentation=strong, cooldown_epochs=2, cooldown_strength=0.0)
    indices = np.arange(4)
    waveforms, _ = loader.split.take(indices, np.random.default_rng(0))
    clean = features.compute(waveforms, loader.recipe.features)
    before, _ = block(weak, indices, epochs - 1)
    after, _ = block(weak, indices, epochs)
    assert np.abs(before - clean).max() > 10
    np.testing.assert_allclose(after, clean, atol=1e-2)


def test_log_mel_is_an_input_too(loader):
    recipe = dataclasses.replace(
        loader.recipe, features=dataclasses.replace(loader.recipe.features, n_mfcc=0)
    )
    bands = DataLoader(loader.split, recipe)
    x, _ = bands.batch(0, 0)
    assert x.shape[1:] == (50, recipe.features.n_mels)
    assert x.min() >= recipe.features.floor_db - 1e-3
    assert bands.statistics(batches=1)[0].shape == (recipe.features.n_mels,)


# --- who prepares it, and with whom


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("batch_size", [6, 12, 24, 48])
def test_a_row_does_not_depend_on_the_batch_size(loader, batch_size, clips):
    """Whether blocks of 32 or 8 rows and batches align or not."""
    settings = {"augmentation": {"mixup_probability": 0.5}, "clips_per_sequence": clips}
    some = another(loader, batch_size=batch_size, **settings)
    parts = [some.batch(2, number) for number in range(some.steps_per_epoch)]
    whole = another(loader, batch_size=9999, **settings)
    rows = some.steps_per_epoch * some.batch_rows
    assert_equal(whole.rows(2, 0, rows), [np.concatenate(c) for c in zip(*parts, strict=True)])


def test_batches_of_32_and_64_hold_the_same_rows(loader):
    small, large = (another(loader, batch_size=size) for size in (32, 64))
    assert (small.batch_rows, large.batch_rows) == (32, 64)
    halves = [small.batch(1, half) for half in range(2)]
    assert_equal(large.batch(1, 0), [np.concatenate(c) for c in zip(*halves, strict=True)])


@pytest.mark.parametrize(("clips", "rows"), [(1, 32), (2, 16), (3, 8), (4, 8), (33, 1)])
def test_a_block_is_a_power_of_two_of_rows(loader, clips, rows):
    assert dataclasses.replace(loader.batcher, clips_per_sequence=clips).block_rows == rows


@pytest.mark.parametrize("ranks", [2, 4])
def test_machines_that_each_prepare_their_rows_make_the_batch_of_one(loader, ranks):
    one = another(loader, batch_size=64, clips_per_sequence=2)
    share = one.batch_rows // ranks
    parts = [one.rows(1, rank * share, (rank + 1) * share) for rank in range(ranks)]
    assert_equal(one.batch(1, 0), [np.concatenate(c) for c in zip(*parts, strict=True)])


@settings(max_examples=20)
@given(data=st.data())
def test_any_rows_are_those_of_the_epoch(loader, data):
    n_rows = len(loader.draw(1))
    start = data.draw(st.integers(0, n_rows - 1))
    stop = data.draw(st.integers(start + 1, min(start + 50, n_rows)))
    few = loader.rows(1, start, stop)
    if not hasattr(test_any_rows_are_those_of_the_epoch, "whole"):
        test_any_rows_are_those_of_the_epoch.whole = loader.rows(1, 0, n_rows)
    whole = test_any_rows_are_those_of_the_epoch.whole
    assert_equal(few, [column[start:stop] for column in whole])


def test_the_iterator_yields_the_batches_of_the_epochs(loader):
    unaligned = another(loader, batch_size=20)
    with unaligned.batches(first_epoch=1) as batches:
        for number in range(unaligned.steps_per_epoch):
            assert_equal(next(batches), unaligned.batch(1, number))
        assert_equal(next(batches), unaligned.batch(2, 0))


def test_the_iterator_can_begin_at_any_epoch(loader):
    with loader.batches() as whole, loader.batches(first_epoch=1) as late:
        for _ in range(loader.steps_per_epoch):
            next(whole)
        for _ in range(3):
            assert_equal(next(whole), next(late))


def test_no_block_is_prepared_twice(loader, monkeypatch):
    prepared = []
    original = Batcher.block

    def noted(self, indices, epoch, number):
        prepared.append((epoch, number))
        return original(self, indices, epoch, number)

    monkeypatch.setattr(Batcher, "block", noted)
    unaligned = another(loader, batch_size=20)
    with unaligned.batches() as batches:
        for _ in range(unaligned.steps_per_epoch):
            next(batches)
    assert len(prepared) == len(set(prepared))


def test_batches_are_prepared_beside_the_training_at_a_lower_priority(loader, monkeypatch):
    prepared_in = []
    original = Batcher.block

    def noted(*args):
        prepared_in.append((threading.current_thread(), niceness()))
        return original(*args)

    def niceness():
        return os.getpriority(os.PRIO_PROCESS, 0) if sys.platform == "linux" else 0

    monkeypatch.setattr(Batcher, "block", noted)
    before = niceness()
    with loader.batches() as batches:
        next(batches)
    assert {thread for thread, _ in prepared_in}.isdisjoint({threading.current_thread()})
    assert niceness() == before
    if sys.platform == "linux":
        assert {nice for _, nice in prepared_in} == {min(before + 10, 19)}


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_prepare_what_a_thread_prepares_and_end_with_it(loader, workers):
    by_thread, by_processes = (another(loader, workers=n, batch_size=40) for n in (0, workers))
    already = set(multiprocessing.active_children())
    with by_thread.batches() as one, by_processes.batches() as other:
        for _ in range(loader.steps_per_epoch + 1):
            assert_equal(next(one), next(other))
        assert len(set(multiprocessing.active_children()) - already) == workers
    assert set(multiprocessing.active_children()) == already


def test_a_process_that_prepares_does_not_outlive_the_training(sample, tiny_recipe, tmp_path):
    """Whatever ended it: a process that is killed cannot end its workers."""
    script = tmp_path / "train.py"
    script.write_text(
        f"""
import multiprocessing, time
from pathlib import Path
from echoic import data as datasets
from echoic.config import Recipe
from echoic.training import DataLoader

if __name__ == "__main__":
    recipe = Recipe.load({str(tiny_recipe)!r})
    split = datasets.load({str(sample)!r}, recipe.data, "training")
    with DataLoader(split, recipe, workers=1, folder=Path({str(tmp_path)!r})).batches() as batches:
        next(batches)
        print(len(multiprocessing.active_children()), flush=True)
        time.sleep(600)
""",
        encoding="utf-8",
    )
    training_process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert training_process.stdout.readline() == "1\n"
    training_process.kill()
    # Read to the end: nobody is left who could write, the worker neither.
    training_process.communicate(timeout=60)


def test_workers_and_loaders_need_no_training_framework():
    program = (
        "import sys\n"
        "import echoic.training.loader\n"
        "from echoic.training import Batcher, DataLoader\n"
        "heavy = {'keras', 'tensorflow', 'librosa', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'{heavy} are imported' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_names_of_the_package_are_all_there():
    assert {name: getattr(training, name) for name in training.__all__}
