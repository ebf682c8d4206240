"""Names: each thing has the field's word, once; the words that it had before are gone.

Public are modules, classes, functions, methods, parameters, fields and constants without a leading
underscore; verbs and options of the command line; keys of ``echoic.json``.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

import echoic
from echoic import cli
from echoic.data import SPLITS

PACKAGE = Path(echoic.__file__).parent

OLD = {
    # targets, soft labels, logits
    "answers": "targets, soft_labels, logits or probabilities",
    "Answers": "SoftLabels",
    "said": "targets, logits or probabilities",
    # settings of a recipe
    "ask_once": "cache_teacher",
    "equal_priors": "logit_adjustment",
    "word_loss": "auxiliary_loss_weight",
    "with_words": "add_auxiliary_head",
    "forged_fraction": "synthetic_unknown_fraction",
    "lossy_noise": "codec_noise",
    "finish_epochs": "cooldown_epochs",
    "finish_learning_rate": "cooldown_learning_rate",
    "finish_strength": "cooldown_strength",
    "milder": "scaled",
    "supervised_steps": "loss_steps",
    "extra": "extra_data",
    "init": "initial_weights",
    "begin_with": "load_matching_weights",
    # the loader
    "Feed": "DataLoader",
    "BatchMaker": "Batcher",
    "Prepared": "Batch",
    "beside": "worker_pool",
    "heard_by": "teacher_features",
    "comfortable": "normalize_level",
    "MOST_DB": "MAX_GAIN_DB",
    # the live loop
    "patience": "timeouts",
    "ask": "call_with_timeout",
    "Speaker": "Voice",
    "Trail": "StateHeatmap",
    "Circle": "IceBreakerView",
    "tell": "on_event",
    "hear": "on_block, process or on_word",
    "announce": "on_status",
    # evaluation
    "Questions": "TestSet",
    "Hear": "PosteriorFn",
    "Heard": "ScoredStream",
    "judge": "score",
    "diagnose": "analyze",
    "examine": "evaluate_robustness",
    "endless": "continuous",
    # the runtime and export
    "Graph": "TFLiteModel",
    "GraphError": "TFLiteError",
    "Stepper": "StreamingRunner",
    "proof": "verify",
    "MEMORYLESS": "STATELESS",
    "NUDGE": "EPSILON",
    # augmentation
    "narrow": "low_pass",
    "fit_length": "fix_length",
    "random_cuts": "random_crops",
    "beyond_the_data": "pretrained_sources",
    "testing": "test",
}
"""Old names, and what each became."""

OLD_IN = {
    "config.py": {
        "context": "clips_per_sequence",
        "channel": "random_eq",
        "speed": "speed_perturb",
    },
    "augmentation.py": {"channel": "random_eq", "speed": "speed_perturb"},
    "training": {"context": "clips_per_sequence"},
    "echoic": {"limit": "max_clips or max_false_accepts"},
    "evaluation": {"limit": "max_clips or max_false_accepts", "listen": "run_streams"},
    "runtime": {"content": "metadata"},
}
"""Old names that are the field's word elsewhere, by the file or folder that had them."""


class Named(NamedTuple):
    """A public name and where it is."""

    name: str
    where: str


def is_public(name: str) -> bool:
    return not name.startswith("_")


def names_in(tree: ast.AST, where: str) -> Iterator[Named]:
    """Public names that a module or a class defines, and the parameters of its functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            yield Named(node.name, where)
            yield from names_in(node, f"{where} {node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not is_public(node.name) and node.name != "__init__":
                continue
            yield Named(node.name, where)
            a = node.args
            for argument in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg):
                if argument and is_public(argument.arg):
                    yield Named(argument.arg, f"{where} {node.name}()")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and is_public(target.id):
                    yield Named(target.id, where)


def names_of_the_package() -> Iterator[Named]:
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE)
        for part in where.with_suffix("").parts:
            if is_public(part):
                yield Named(part, where.as_posix())
        yield from names_in(ast.parse(path.read_text(encoding="utf-8")), where.as_posix())


def names_of_the_command_line() -> Iterator[Named]:
    for verb, command in get_command(cli.app).commands.items():
        yield Named(verb.replace("-", "_"), "echoic")
        for parameter in command.params:
            for option in parameter.opts:
                yield Named(option.lstrip("-").replace("-", "_"), f"echoic {verb}")


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def old(names: Iterator[Named]) -> list[str]:
    """A line for each name that should have become another."""
    found = []
    for name, where in names:
        scoped = OLD_IN.get(re.split(r"[/ ]", where)[0], {})
        if new := (OLD | scoped).get(name):
            found.append(f"{where}: {name} is {new}")
    return found


def test_names_are_found():
    """The walk sees each kind of name."""
    code = """
LIMIT = 1
class A:
    field: int = 0
    def method(self, answers, *, limit, **said): ...
    def _private(self, ask): ...
def f(a, /, b): ...
"""
    found = [named.name for named in names_in(ast.parse(code), "x.py")]
    assert found == [
        *("LIMIT", "A", "field", "method", "self", "answers", "limit", "said", "f", "a", "b")
    ]
    assert old(names_in(ast.parse(code), "x.py")) == [
        "x.py A method(): answers is targets, soft_labels, logits or probabilities",
        "x.py A method(): said is targets, logits or probabilities",
    ]
    scoped = [Named("speed", where) for where in ("config.py A", "plots/config.py", "plots/x.py")]
    assert old(iter(scoped)) == ["config.py A: speed is speed_perturb"]


def test_no_old_name_is_public():
    assert old(names_of_the_package()) == []


def test_no_old_name_is_a_verb_or_an_option():
    assert old(names_of_the_command_line()) == []
    options = {n.name for n in names_of_the_command_line() if n.where == "echoic evaluate"}
    assert not {"record", "graph"} & options


def test_no_old_name_is_a_key_of_a_model(root):
    for path in sorted((root / "models").glob("*/echoic.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] == 1:
            pytest.fail(f"{path} has schema 1")
        settings = {key: content[key] for key in ("recipe", "training") if key in content}
        table = OLD | OLD_IN["config.py"]
        left = {k: v for k, v in table.items() if k in {*keys(settings), *content}}
        assert left == {}, path


def test_sides_of_a_split():
    assert list(SPLITS) == ["training", "validation", "test"]
