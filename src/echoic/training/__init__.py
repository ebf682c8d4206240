"""Training: a recipe and a data set in, a model's folder out.

batcher.py       Batcher         blocks of rows, augmented; worker processes
loader.py        DataLoader      batches for every epoch, prepared beside the training
soft_labels.py   SoftLabels      a model's probabilities for recordings, in a file
distillation.py  Ensemble        trained models as teachers
losses.py        compile_model() loss, metric, schedule, optimizer
callbacks.py     Progress        progress and log of a run
checkpoints.py   Checkpoints     the files of a run
calibration.py   calibrate()     temperature and priors, folded into the last layer
weights.py       normalization() initial weights and statistics
allocator.py     keep_memory()   freed memory that is kept for the next batch
run.py           train()         all of it

Names are loaded when they are first used: worker processes import `batcher` and no Keras.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from echoic.training.allocator import keep_memory
    from echoic.training.batcher import Batch, Batcher, usual_workers
    from echoic.training.calibration import adjust_logits, calibrate
    from echoic.training.callbacks import Progress
    from echoic.training.checkpoints import Checkpoints
    from echoic.training.distillation import (
        Ensemble,
        available_teachers,
        cache_teacher,
        load_teachers,
    )
    from echoic.training.loader import DataLoader, InputsAndTargets
    from echoic.training.losses import Schedule, clip_accuracy, clip_loss, compile_model
    from echoic.training.run import train, write_soft_labels
    from echoic.training.soft_labels import SoftLabels

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=[
        "allocator",
        "batcher",
        "calibration",
        "callbacks",
        "checkpoints",
        "distillation",
        "loader",
        "losses",
        "run",
        "soft_labels",
        "weights",
    ],
    submod_attrs={
        "allocator": ["keep_memory"],
        "batcher": ["Batch", "Batcher", "usual_workers"],
        "calibration": ["adjust_logits", "calibrate"],
        "callbacks": ["Progress"],
        "checkpoints": ["Checkpoints"],
        "distillation": ["Ensemble", "available_teachers", "cache_teacher", "load_teachers"],
        "loader": ["DataLoader", "InputsAndTargets"],
        "losses": ["Schedule", "clip_accuracy", "clip_loss", "compile_model"],
        "run": ["train", "write_soft_labels"],
        "soft_labels": ["SoftLabels"],
    },
)

__all__ = [
    "Batch",
    "Batcher",
    "Checkpoints",
    "DataLoader",
    "Ensemble",
    "InputsAndTargets",
    "Progress",
    "Schedule",
    "SoftLabels",
    "adjust_logits",
    "available_teachers",
    "cache_teacher",
    "calibrate",
    "clip_accuracy",
    "clip_loss",
    "compile_model",
    "keep_memory",
    "load_teachers",
    "train",
    "usual_workers",
    "write_soft_labels",
]
