"""Training: a recipe and a data set in, a model's folder out.

recipe.py   Recipe     frozen dataclasses, from TOML; unknown keys are errors
feed.py     Feed       batches for every epoch, prepared beside the training
teachers.py            what other models say to the same clips
answers.py  Answers    what one said of each recording, kept in a file
allocator.py           freed memory that is kept for the next batch
run.py      train()    fit, checkpoints, the best weights, a bundle
"""

from echoic.training.allocator import keep_memory
from echoic.training.answers import Answers
from echoic.training.feed import Batch, Feed
from echoic.training.recipe import Recipe, TrainingConfig, recipe_names
from echoic.training.run import (
    Progress,
    Schedule,
    adjust_logits,
    calibrate,
    clip_accuracy,
    clip_loss,
    compile_model,
    keep_answers,
    train,
)
from echoic.training.teachers import (
    Ensemble,
    ask_once,
    available_teachers,
    load_teachers,
)

__all__ = [
    "Answers",
    "Batch",
    "Ensemble",
    "Feed",
    "Progress",
    "Recipe",
    "Schedule",
    "TrainingConfig",
    "adjust_logits",
    "ask_once",
    "available_teachers",
    "calibrate",
    "clip_accuracy",
    "clip_loss",
    "compile_model",
    "keep_answers",
    "keep_memory",
    "load_teachers",
    "recipe_names",
    "train",
]
