"""Settings: strict types, errors that say what to do, recipes that survive every round trip."""

import dataclasses
import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoic import networks
from echoic.config import (
    ALIASES,
    AugmentationConfig,
    DataConfig,
    DecoderConfig,
    FeatureConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
    recipe_names,
    translate,
)

SECTIONS = {
    "data": DataConfig,
    "features": FeatureConfig,
    "model": ModelConfig,
    "augmentation": AugmentationConfig,
    "training": TrainingConfig,
}
LAYERS = ({"type": "gru", "units": 8},)


# --- recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe_names())
def test_each_shipped_recipe_is_whole_and_can_be_built(name):
    recipe = Recipe.load(name)
    networks.check(recipe)
    assert recipe.data.labels[:2] == ("_silence_", "_unknown_")


def test_the_nine_recipes_ship():
    names = ["attention", "bag", "crnn", "embedding", "gru", "lstm", "rnn", "small", "whisper"]
    assert recipe_names() == names


def test_a_recipe_that_has_a_base_changes_only_what_it_names():
    gru, crnn = Recipe.load("gru"), Recipe.load("crnn")
    assert dataclasses.replace(crnn, model=gru.model, training=gru.training) == gru
    assert crnn.model != gru.model


def test_bases_that_go_round_in_a_circle(tmp_path):
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{tmp_path / base}.toml"\n')
    with pytest.raises(ValueError, match=r"Expected bases that end, received .*a\.toml -> .*b\."):
        Recipe.load(tmp_path / "a.toml")


def test_a_base_is_a_name(tmp_path):
    (tmp_path / "a.toml").write_text("base = 3\n")
    with pytest.raises(ValueError, match="to be a recipe's name, received 3"):
        Recipe.load(tmp_path / "a.toml")


def test_streamable_recipes_are_the_causal_ones():
    streamable = {n for n in recipe_names() if networks.streamable(Recipe.load(n).model)}
    assert streamable == {"crnn", "gru", "lstm", "rnn", "small"}


def test_overrides_are_toml_values_or_bare_words():
    recipe = Recipe.load(
        "gru",
        overrides=[
            "training.epochs=5",
            "augmentation.snr=[5, 10]",
            "data.vocabulary=yes,no",
            "data.unseen_words=[]",
        ],
    )
    assert recipe.training.epochs == 5
    assert recipe.augmentation.snr == (5.0, 10.0)
    assert recipe.data.labels == ("_silence_", "_unknown_", "yes", "no")
    assert recipe.data.unseen_words == ()
    every = Recipe.load("gru", overrides=["data.vocabulary=35", "data.unseen_words=[]"])
    assert every.data.vocabulary == "35"
    assert len(every.data.labels) == 35


def test_a_recipe_that_is_not_there_or_not_toml(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="attention, bag, crnn, embedding, gru, lstm, rnn, small, whisper"
    ):
        Recipe.load("transformer")
    broken = tmp_path / "broken.toml"
    for content in (b"[training\n", b"\xff"):
        broken.write_bytes(content)
        with pytest.raises(ValueError, match="is not TOML"):
            Recipe.load(broken)


def test_settings_need_no_keras():
    code = (
        "import sys; from echoic.config import Recipe; Recipe.load('gru'); "
        "print({'keras', 'tensorflow', 'librosa', 'scipy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=5", "a key of training, received epoch; did you mean epochs.*batch_size"),
        ("training.xyz=5", r"a key of training, received xyz\. Its keys are epochs, batch_size"),
        ("trainings.epochs=5", "a key of a recipe, received trainings; did you mean training"),
        ("training.epochs=five", "training.epochs to be int, received 'five'"),
        ("training.epochs='5'", "training.epochs to be int, received '5'"),
        ("training.epochs=1.5", "training.epochs to be int, received 1.5"),
        ("training.epochs=2.0", "training.epochs to be int, received 2.0"),
        ("training.epochs=true", "training.epochs to be int, received True"),
        ("training.epochs=[1]", r"training.epochs to be int, received \[1\]"),
        ("training.learning_rate=true", "training.learning_rate to be float, received True"),
        ("training.learning_rate='1'", "training.learning_rate to be float, received '1'"),
        ("training.learning_rate=nan", "training.learning_rate to be finite, received nan"),
        ("training.learning_rate=inf", "training.learning_rate to be finite, received inf"),
        ("training.deterministic=1", "training.deterministic to be bool, received 1"),
        ("training.deterministic='yes'", "training.deterministic to be bool, received 'yes'"),
        ("training.epochs=0", "training.epochs above 0, received 0"),
        ("training.clips_per_sequence=0", "training.clips_per_sequence above 0, received 0"),
        ("training.auxiliary_loss_weight=-1", "auxiliary_loss_weight of at least 0, received -1"),
        ("training.teacher_weight=1.5", "training.teacher_weight between 0 and 1, received 1.5"),
        ("training.cooldown_epochs=-1", "training.cooldown_epochs of at least 0, received -1"),
        ("training.batch_size=32", "a multiple of training.clips_per_sequence = 3, received 32"),
        ("training.epochs", "section.key=value"),
        ("epochs=5", "section.key=value"),
        ("features.sample_rate=32000", "features.sample_rate to be 16000"),
        ("features.sample_rate=-1", "features.sample_rate between 1 and 1000000, received -1"),
        ("features.n_mfcc=400", "features.n_mfcc at most 40, n_mels, received 400"),
        ("features.n_fft=600", "n_fft to be a power of two, as TFLite needs it, received 600"),
        ("model.layers=[]", r"model.layers to have at least one row, received \[\]"),
        ("model.layers=[{units=3}]", r"model.layers\[0\] to be a table with a type"),
        ("model.layers=3", "model.layers to be a list, received 3"),
        ("augmentation.snr=[10, 5]", r"augmentation.snr as \[low, high\], received \[10, 5\]"),
        ("augmentation.snr=[1, 2, 3]", r"augmentation.snr as \[low, high\], received \[1, 2, 3\]"),
        ("augmentation.snr=5", r"augmentation.snr as \[low, high\], received 5"),
        ("augmentation.snr=[0, true]", r"augmentation.snr\[1\] to be float, received True"),
        ("augmentation.rt60=[0, 1]", r"augmentation.rt60 of at least 0.05, received \[0, 1\]"),
        ("data.unknown_fraction=2", "unknown_fraction and data.silence_fraction to sum to less"),
        ("data.unseen_words=['yes']", "unseen_words without words of the vocabulary, received yes"),
        ("data.extra_data=voices", "data.extra_data to be a list, received 'voices'"),
        ("data.extra_data=[1]", r"data.extra_data\[0\] to be a string, received 1"),
        ("data.vocabulary=3.5", "data.vocabulary to be a name or a list of words, received 3.5"),
        ("data.vocabulary=[1]", r"data.vocabulary to be a name or a list of words, received \[1\]"),
        ("data.vocabulary=['a/b']", "names of folders, received 'a/b'"),
        ("training.teachers=gru-12", "training.teachers to be a list, received 'gru-12'"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(override, message):
    with pytest.raises(ValueError, match=message) as error:
        Recipe.load("gru", overrides=[override])
    assert type(error.value) is ValueError
    assert "pydantic" not in str(error.value)
    assert "http" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.clip_seconds=0.95", "whole number of the network's steps of 640 samples"),
        ('model.layers=[{type="mean"}]', "to be 1 for a network that needs the whole clip"),
        ('model.layers=[{type="bidirectional", units=8}]', "mean or attention in model.layers"),
        ("model.layers=[{type='quantum'}]", "received 'quantum'"),
    ],
)
def test_what_no_network_can_do_is_refused_where_one_is_built(override, message):
    recipe = Recipe.load("gru", overrides=[override])
    with pytest.raises(ValueError, match=message):
        networks.check(recipe)


def test_all_problems_are_told_at_once():
    tables = {"training": {"epochs": -1, "batch_size": "3"}, "features": {"hop": 1}, "model": 3}
    with pytest.raises(ValueError, match="Expected") as error:
        Recipe.from_dict(tables)
    lines = str(error.value).splitlines()
    assert lines == [
        "Expected a key of features, received hop; did you mean hop_length? Its keys are "
        f"{', '.join(FeatureConfig.__dataclass_fields__)}.",
        "Expected model to be a table, received 3.",
        "Expected training.epochs above 0, received -1.",
        "Expected training.batch_size to be int, received '3'.",
    ]


def test_a_recipe_needs_a_model():
    with pytest.raises(ValueError, match="Expected model, which has no default, received nothing"):
        Recipe.from_dict({})
    with pytest.raises(ValueError, match=r"Expected model\.layers, which has no default"):
        Recipe.from_dict({"model": {}})


@pytest.mark.parametrize("kind", [*SECTIONS.values(), DecoderConfig])
def test_settings_are_named_and_frozen(kind):
    values = {"layers": LAYERS} if kind is ModelConfig else {}
    settings = kind(**values)
    with pytest.raises(TypeError):
        kind(1)
    with pytest.raises(ValueError, match="a key of .*, received strange"):
        kind(**values, strange=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, dataclasses.fields(kind)[0].name, 1)


def test_replace_is_checked_too():
    with pytest.raises(ValueError, match="Expected training.epochs above 0, received 0"):
        dataclasses.replace(TrainingConfig(), epochs=0)


def test_an_int_stands_for_a_float_and_a_list_for_a_tuple():
    config = AugmentationConfig(shift=0, snr=[0, 5])
    assert type(config.shift) is float
    assert config.snr == (0.0, 5.0)
    assert type(config.snr[0]) is float
    assert TrainingConfig(teachers=["a"]).teachers == ("a",)


def test_settings_that_decide_features_and_rooms_can_be_keys():
    for kind in (FeatureConfig, DataConfig, AugmentationConfig, TrainingConfig):
        assert hash(kind()) == hash(kind())


def test_channels_are_coefficients_or_bands():
    assert FeatureConfig(n_mels=40, n_mfcc=13).channels == 13
    assert FeatureConfig(n_mels=32, n_mfcc=0).channels == 32


# --- round trips ---------------------------------------------------------------------------------

names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
words = st.lists(names, max_size=3, unique=True).map(tuple)
fractions = st.floats(0, 1)
positive = st.floats(1e-6, 1e6)
counts = st.integers(0, 1000)


def ranges(low, high):
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda x: tuple(sorted(x)))


@st.composite
def feature_configs(draw):
    n_fft = 2 ** draw(st.integers(4, 12))
    n_mels = draw(st.integers(1, n_fft // 2))
    fmin, fmax = draw(ranges(1, 8000))
    return FeatureConfig(
        n_fft=n_fft,
        win_length=draw(st.integers(1, n_fft)),
        hop_length=draw(st.integers(1, n_fft)),
        n_mels=n_mels,
        n_mfcc=draw(st.integers(0, n_mels)),
        fmin=fmin,
        fmax=fmax,
        floor_db=draw(st.floats(-120, 0)),
    )


data_configs = st.builds(
    DataConfig,
    vocabulary=st.sampled_from(["12", "commands", "jarvis,lights", ("jarvis", "lights")]),
    clip_seconds=positive,
    unknown_fraction=st.floats(0, 0.4),
    silence_fraction=st.floats(0, 0.4),
    synthetic_unknown_fraction=fractions,
    synthetic_noises=counts,
    babble_noises=counts,
    unseen_words=words.map(lambda x: tuple(f"x{word}" for word in x)),
    unseen_noises=words,
    codec_noise=st.booleans(),
    extra_data=words,
)
rows = st.dictionaries(
    st.sampled_from(["units", "filters", "dropout", "separable"]),
    st.one_of(counts, fractions, st.booleans()),
).map(lambda row: {"type": "gru", **row})
model_configs = st.builds(ModelConfig, layers=st.lists(rows, min_size=1, max_size=4).map(tuple))
augmentation_configs = st.builds(
    AugmentationConfig,
    mixup_probability=fractions,
    speed_perturb=ranges(0.1, 2),
    shift=st.floats(0, 1),
    rt60=ranges(0.05, 2),
    snr=ranges(-20, 40),
    gain=ranges(-40, 10),
    bandwidth=ranges(1, 8000),
    random_eq=positive,
    time_masks=counts,
)
training_configs = st.builds(
    TrainingConfig,
    epochs=st.integers(1, 1000),
    batch_size=st.integers(1, 100).map(lambda n: 6 * n),
    clips_per_sequence=st.sampled_from([1, 2, 3]),
    learning_rate=positive,
    cooldown_epochs=counts,
    teachers=words,
    teacher_weight=fractions,
    cache_teacher=st.booleans(),
    logit_adjustment=st.booleans(),
    seed=counts,
)
recipes = st.builds(
    Recipe,
    data=data_configs,
    features=feature_configs(),
    model=model_configs,
    augmentation=augmentation_configs,
    training=training_configs,
)


def toml(value):
    """Write a value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@given(recipes)
def test_a_recipe_survives_tables_json_and_pickle(recipe):
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert dataclasses.replace(recipe) == recipe


@given(recipe=recipes)
def test_a_recipe_survives_a_toml_file(recipe, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    text = "".join(
        f"[{section}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
        for section, table in recipe.to_dict().items()
    )
    path.write_text(text, encoding="utf-8")
    assert Recipe.load(path) == recipe


# --- older schemas -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [(section, old, new) for section, table in ALIASES.items() for old, new in table.items()],
)
def test_an_old_key_is_read_everywhere_as_the_new_one(section, old, new, tmp_path):
    known = {field.name: field for field in dataclasses.fields(SECTIONS[section])}
    assert old not in known
    tables = Recipe.load("gru").to_dict()
    tables[section][old] = tables[section].pop(new)
    assert Recipe.from_dict(tables) == Recipe.load("gru")
    text = toml(tables[section][old])
    assert Recipe.load("gru", overrides=[f"{section}.{old}={text}"]) == Recipe.load("gru")
    (tmp_path / "mine.toml").write_text(f'base = "gru"\n[{section}]\n{old} = {text}\n')
    assert Recipe.load(tmp_path / "mine.toml") == Recipe.load("gru")
    tables[section][new] = tables[section][old]
    with pytest.raises(ValueError, match=rf"{section}\.{new} or its old name, {section}\.{old}"):
        Recipe.from_dict(tables)


def test_translation_leaves_new_tables_alone():
    tables = Recipe.load("gru").to_dict()
    assert translate(tables) == tables
    assert translate({"training": 3, "strange": {"context": 1}}) == {
        "training": 3,
        "strange": {"context": 1},
    }
