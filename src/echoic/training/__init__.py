"""Training: a recipe and a data set in, a model's folder out.

recipe.py   Recipe     frozen dataclasses, from TOML; unknown keys are errors
feed.py     DataLoader       batches for every epoch, prepared beside the training
teachers.py            what other models say to the same clips
answers.py  SoftLabels    what one said of each recording, kept in a file
allocator.py           freed memory that is kept for the next batch
run.py      train()    fit, checkpoints, the best weights, a bundle
"""

from echoic.training.allocator import keep_memory
from echoic.training.distillation import Ensemble, available_teachers, cache_teacher, load_teachers
from echoic.training.loader import Batch, DataLoader
from echoic.training.run import (
    Progress,
    Schedule,
    adjust_logits,
    calibrate,
    clip_accuracy,
    clip_loss,
    compile_model,
    train,
    write_soft_labels,
)
from echoic.training.soft_labels import SoftLabels

__all__ = [
    "Batch",
    "DataLoader",
    "Ensemble",
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
    "write_soft_labels",
]
