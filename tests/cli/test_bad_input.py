"""Wrong recipes, files, pictures and commands: a clear message each, never a traceback."""

from __future__ import annotations

import pytest
from conftest import Command

GOOD = "digits.yaml"
JARGON = (
    "Traceback",
    "Input should be",
    "tuple",
    "NoneType",
    "ValidationError",
    " at 0x",
    "errno",
    "pydantic",
    "For further information",
)
MOST_LINES = 40


def faults(code: int, told: str, wanted_code: int, phrases: tuple[str, ...]) -> list[str]:
    """What is wrong with how a command refused."""
    found = [f'says "{word}"' for word in JARGON if word in told]
    found += [f'does not say "{phrase}"' for phrase in phrases if phrase not in told]
    if code != wanted_code:
        found.append(f"exit code {code}, wanted {wanted_code}")
    if not told.startswith("error: "):
        found.append("does not begin with error:")
    if told.count("\n") > MOST_LINES:
        found.append("is too long")
    return found


def layers(*blocks: str) -> tuple[str, ...]:
    """The arguments that design a network of these blocks."""
    return ("design", GOOD, f"model.layers=[{', '.join(blocks)}]")


def data(text: str, verb: str = "train") -> tuple[str, ...]:
    """The arguments that train on other data."""
    return (verb, GOOD, f"data={{{text}}}")


def override(*values: str) -> tuple[str, ...]:
    """The arguments that train with other values."""
    return ("train", GOOD, *values)


CONV = "{kind: conv, channels: 4, kernel: 3}"
FLAT = "{kind: flatten}"

COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("trian", GOOD): ("trian", "train"),
    ("--verbose",): ("--verbose",),
    ("train",): ("recipe",),
    ("train", GOOD, "--epochs", "3"): ("--epochs",),
    ("train", GOOD, "--resme"): ("--resme", "--resume"),
    ("train", GOOD, "--out"): ("--out",),
    ("train", GOOD, "training.epochs"): ('"training.epochs"', "training.epochs=3"),
    ("train", GOOD, "=3"): ('"=3"', "training.epochs=3"),
    ("train", GOOD, "3"): ('"3"', "wanted an override"),
    ("train", GOOD, "other.yaml"): ('"other.yaml"', "wanted an override"),
    ("train", GOOD, "--resume", "--overwrite"): ("both --resume and --overwrite", "one of them"),
    ("train", GOOD): ("runs/digits", "--resume", "--overwrite", "--out"),
    ("train", GOOD, "--resume", "training.batch_size=31"): ("training.batch_size", "31", "30", "--out"),
    ("train", GOOD, "--resume", "model.layers.0.channels=5"): ("model.layers[0].channels", "5", "4"),
    ("train", GOOD, "--out", "notes.txt"): ("notes.txt", "is a file", "--out"),
    ("train", GOOD, "--out", "notes.txt/run"): ("notes.txt", "is a file"),
    ("train", GOOD, "--out", "taken"): ("taken", "no run", "--out"),
    ("design", GOOD, "--draw", "net.png"): ("net.png", ".svg"),
    ("design", GOOD, "--draw", "gone/net.svg"): ("gone", "no such folder"),
    ("design", GOOD, "--draw", "nothing/net.svg/x.svg"): ("nothing/net.svg", "no such folder"),
    ("design", GOOD, "--draw", "n" * 300 + ".svg"): ("nnn", "too long"),
    ("design", GOOD, "--draw", "folder.yaml"): ("folder.yaml", ".svg"),
    ("schema", "--out", "gone/recipe.json"): ("gone", "no such folder"),
    ("schema", "--out", "nothing"): ("nothing", "is a folder"),
    ("schema", "more"): ("more",),
    ("",): ("command",),
    ("train", "n" * 300 + ".yaml"): ("nnn", "too long"),
    ("train", GOOD, "--out", "n" * 300): ("nnn", "too long"),
    ("evaluate", "n" * 300): ("nnn", "too long"),
    ("predict", "digits", "n" * 300): ("nnn", "too long"),
    ("new", "clasify", "digits"): ('"clasify"', "classify"),
    ("new", "classify", "gone"): ("gone", "does not exist"),
    ("new", "classify", "notes.txt"): ("notes.txt", "nothing that is known"),
    ("new", "classify", "nothing"): ("nothing", "looked for"),
    ("new", "classify", "digits", "--out", GOOD): (GOOD, "is there already", "--overwrite"),
    ("new", "classify", "digits", "--out", "gone/x.yaml"): ("gone", "no such folder"),
    ("new", "classify", "digits", "--out", "nothing", "--overwrite"): ("nothing", "is a folder"),
    ("evaluate", "runs/digts"): ("runs/digts", 'did you mean "runs/digits"'),
    ("evaluate", "digts"): ("digts", 'did you mean "runs/digits"'),
    ("evaluate", "digits", "--split", "tset"): ('"tset"', "train, validation, test"),
    ("evaluate", "runs/file"): ("runs/file", "is a file"),
    ("evaluate", "runs/bare"): ("runs/bare", "no run is there"),
    ("evaluate", "runs/unfinished"): ("runs/unfinished", "not finished", "--resume"),
    ("evaluate", "runs/resolved"): ("runs/resolved/resolved.yaml", "is not YAML"),
    ("predict", "digits"): ("FILE",),
    ("predict", "digits", "gone.png"): ("gone.png", "No such file"),
    ("predict", "digits", "notes.txt"): ("notes.txt", "no picture of a known format"),
    ("predict", "digits", "good.png", "text.png"): ("text.png", "no picture of a known format"),
    ("predict", "digits", "empty.png"): ("empty.png", "is empty"),
    ("predict", "digits", "cut.png"): ("cut.png", "damaged or cut off"),
    ("predict", "digits", "huge.png"): ("huge.png", "pixels"),
    ("predict", "digits", "nothing"): ("nothing", "holds no pictures", ".png"),
    ("predict", "digits", "good.png", "--top", "0"): ("--top", "got 0", "at least 1"),
    ("predict", "digits", "good.png", "--top", "many"): ("--top", 'got "many"', "a whole number"),
    ("predict", "gone", "good.png"): ("gone", "no run is there"),
    ("predict", "runs/unfinished", "good.png"): ("not finished", "--resume"),
    ("report", "gone"): ("gone", "no run is there"),
    ("report", "runs/unfinished"): ("runs/unfinished", "not finished"),
    ("report", "digits", "fewer"): ("digits", "fewer", "other"),
    ("report", "digits", "digits"): ("runs/digits", "twice"),
    ("report", "digits", "--out", "gone/report.html"): ("gone", "no such folder"),
    ("report", "digits", "--out", "nothing"): ("nothing", "is a folder"),
    
}
"""Arguments, and what the message must say."""

RECIPES: dict[str, tuple[str, ...]] = {
    "gone.yaml": ("gone.yaml", "no such recipe file"),
    "digit.yaml": ("digit.yaml", 'did you mean "digits.yaml"'),
    "folder.yaml": ("folder.yaml", "is a directory"),
    "empty.yaml": ("empty.yaml", "is empty", "name, task, data and model"),
    "comment.yaml": ("comment.yaml", "is empty"),
    "binary.yaml": ("binary.yaml", "UTF-8", "wanted YAML"),
    "nul.yaml": ("nul.yaml", "is not YAML"),
    "list.yaml": ("list.yaml", "is a list", "name, task, data and model"),
    "text.yaml": ("text.yaml", '"hello"', "name, task, data and model"),
    "twice.yaml": ('has the key "name" twice', "first on line 1", "line 13"),
    "open.yaml": ("is not YAML", "line"),
    "tabs.yaml": ("is not YAML", "line 2"),
    "tag.yaml": ("has a tag", "line 1"),
    "deep.yaml": ("nested deeper than 32 levels",),
    "long.yaml": ("larger than 1,000,000 bytes",),
    "bomb.yaml": ("has an anchor", "line 1"),
    "two.yaml": ("is not YAML", "another document"),
    "good.png": ("good.png", "UTF-8"),
    "many.yaml": (
        "many.yaml: 6 problems",
        'got "clasify", wanted "classify" (line 2)',
        'data.limt: unknown setting "limt"; did you mean "limit"? (line 3)',
        'model.layers[0].chanels: unknown setting "chanels"; did you mean "channels"? (line 6)',
        'model.layers[1].width: got "wide", wanted a whole number (line 7)',
        "training.epochs: got 0",
    ),
}
"""Recipe files, and what the message must say."""

VALUES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("trainng.epochs=3",): ("trainng", 'did you mean "training"?'),
    ("training.epoch=3",): ("training.epoch", 'did you mean "epochs"?'),
    ("model.layers.0.chanels=3",): ("model.layers[0].chanels", 'did you mean "channels"?'),
    ("model.layers.0.kind=cnov",): ("model.layers[0]", '"cnov"', 'did you mean "conv"?'),
    ("model.layers.9.kind=conv",): ("model.layers[9]", "4 entries"),
    ("model.layers.x.kind=conv",): ("model.layers.x", "is a list"),
    ("name.first=3",): ("name.first", "single value"),
    ("model..layers=3",): ("model..layers=3", "training.epochs=3"),
    ("optimizer.kind=adamm",): ("optimizer", '"adamm"', 'did you mean "adam'),
    ("schedule.kind=cosin",): ("schedule", 'did you mean "cosine"?'),
    ("data.kind=digit",): ("data", 'did you mean "digits"?'),
    ("task.kind=clasify",): ("task.kind", '"clasify"', '"classify"'),
    ("training.epochs=three",): ("training.epochs", '"three"', "a whole number"),
    ("training.epochs=1.5",): ("training.epochs", "1.5", "a whole number"),
    ("training.epochs=0",): ("training.epochs", "got 0", "at least 1"),
    ("training.epochs=-4",): ("training.epochs", "got -4"),
    ("training.epochs=true",): ("training.epochs", "got true", "a whole number"),
    ("training.epochs=[1]",): ("training.epochs", "[1]", "a whole number"),
    ("training.epochs={a: 1}",): ("training.epochs", "a whole number"),
    ("training.epochs=99999999999999999999999",): ("training.epochs", "99999999999", "1,000,000"),
    ("training.batch_size=0",): ("training.batch_size", "got 0", "at least 1"),
    ("training.batch_size=big",): ("training.batch_size", '"big"', '"auto"'),
    ("training.batch_size=10", "training.accumulate=3"): (
        "training.batch_size", "10", "3", "a multiple",
    ),
    ("training.batch_size=1", "model.layers.3.norm=batch"): ("training.batch_size", "batch norm"),
    ("training.batch_size=3", "training.accumulate=3", "model.layers.3.norm=batch"): (
        "training.batch_size", "batch norm",
    ),
    ("data.augment=[{kind: crop, padding: 8, mode: reflect}]",): (
        "data.augment[0].padding", "got 8", "7 pixels",
    ),
    ("data.augment=[{kind: affine}]",): ("data.augment[0]", "changes nothing", "rotate"),
    ("training.steps=5",): ("training", "epochs (2)", "steps (5)", "one of them"),
    ("training.evaluate_every_epochs=1", "training.evaluate_every_steps=2"): ("training", "one of them"),
    ("training.patience=2", "data.split.validation=0"): ("training.patience", "no validation split"),
    ("training.keep_best=true", "data.split.validation=0"): ("training.keep_best", "no validation split"),
    ("training.clip_norm=0",): ("training.clip_norm", "got 0", "above 0"),
    ("training.ema_decay=1",): ("training.ema_decay", "got 1", "below 1"),
    ("training.seed=-1",): ("training.seed", "got -1"),
    ("training.max_minutes=0",): ("training.max_minutes", "got 0"),
    ("training.workers=-1",): ("training.workers", "got -1"),
    ("training.track=[tensorbord]",): ("training.track[0]", '"tensorbord"', '"tensorboard"'),
    ("training.track=tensorboard",): ("training.track", '"tensorboard"', "a list"),
    ("optimizer.learning_rate=.nan",): ("optimizer.learning_rate", "nan"),
    ("optimizer.learning_rate=.inf",): ("optimizer.learning_rate", "inf", "a finite number"),
    ("optimizer.learning_rate=-1",): ("optimizer.learning_rate", "got -1"),
    ("optimizer.learning_rate=fast",): ("optimizer.learning_rate", '"fast"', "a number"),
    ("optimizer.betas=[0.9]",): ("optimizer.betas", "2"),
    ("optimizer.momentum=0.9",): ("optimizer.momentum", "unknown setting"),
    ("schedule.warmup_steps=5",): ("schedule",),
    ("schedule={kind: cosine, warmup_steps: 10_000}",): ("schedule", "10000"),
    ("name=a/b",): ("name", '"a/b"', "letters"),
    ("name=''",): ("name", "letters"),
    ("name=7",): ("name", "got 7", "a text"),
    ("name=" + "n" * 5000,): ("name", "64 letters"),
    ("task.label_smoothing=1.5",): ("task.label_smoothing", "1.5", "below 1"),
    ("task.class_weights={ten: 2}",): ("task.class_weights", "ten"),
    ("task.class_weights=balansed",): ("task.class_weights", '"balansed"', '"balanced"'),
    ("placement.device=tpu",): ("placement.device", '"tpu"', '"cpu"'),
    ("placement.precision=fp16",): ("placement.precision", '"fp16"', '"fp32"'),
    ("placement.threads=0",): ("placement.threads", "got 0"),
    ("data.limit=0",): ("data.limit", "got 0"),
    ("data.limit=1",): ("digits", "limit"),
    ("data.image_size=0",): ("data.image_size", "got 0", "4096"),
    ("data.image_size=[8, 8, 8]",): ("data.image_size", "[height, width]", "got 8, 8, 8"),
    ("data.image_size=large",): ("data.image_size", '"large"', '"auto"'),
    ("data.channels=2",): ("data.channels", "got 2", "1 or 3 or"),
    ("data.normalize={mean: [0.5], std: [0]}",): ("data.normalize", "std", "above 0"),
    ("data.normalize=half",): ("data.normalize", '"half"', '"unit"'),
    ("data.classes=[a, a]",): ("data.classes", '"a"', "different names"),
    ("data.classes=[a",): ("data.classes=[a", "is not YAML"),
    ("data.split={validation: 0.6, test: 0.6}",): ("data.split", "0.6", "leave nothing"),
    ("data.split.validation=1.5",): ("data.split.validation", "1.5"),
    ("data.path=elsewhere",): ("data.path", "unknown setting"),
    ("data.augment=[{kind: flp}]",): ("data.augment[0]", '"flp"', 'did you mean "flip"?'),
    ("data.augment=[{kind: mixup}, {kind: flip}]",): ("data.augment", "put them last"),
    ("data.augment=[{kind: crop, padding: -1}]",): ("data.augment[0].padding", "got -1"),
    ("data.augment=flip",): ("data.augment", '"flip"', "a list"),
    ("model=null",): ("model", "is missing"),
    ("model={}",): ("model.layers", "is missing"),
    ("model=cnn",): ("model", '"cnn"', "{key: value, …}"),
    ("model.layers=[]",): ("model.layers", "no layers", "at least one"),
    ("model.layers=conv",): ("model.layers", '"conv"', "a list"),
    ("model.layers=[7]",): ("model.layers[0]", "got 7", "{key: value, …}"),
    ("model.layers=[{channels: 3}]",): ("model.layers[0]", "has no kind"),
    ("model.layers=[" + "{kind: repeat, times: 100, layers: [" * 3 + CONV + "]}" * 3 + "]",): (
        "model.layers", "blocks", "at most 10,000",
    ),
    ("model.head=softmax",): ("model.head", '"softmax"', '"auto"'),
    ("model.head=none",): ("model", "a vector (16)", "a vector (10)", "head"),
    ("model.initialize.scheme=best",): ("model.initialize", '"best"'),
}
"""Overrides of the good recipe, and what the message must say."""

SHAPES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("{kind: dense, width: 8}",): ("model.layers[0]", "an image (1, 8, 8)", "{kind: flatten}"),
    (CONV, "{kind: dense, width: 8}"): ("model.layers[1]", "an image (4, 6, 6) from conv", "{kind: flatten}"),
    (FLAT, CONV): ("model.layers[1]", "a vector (64) from flatten", "an image"),
    (FLAT, FLAT): ("model.layers[1]", "a vector (64)"),
    (FLAT, "{kind: max_pool, size: 2}"): ("model.layers[1]", "a vector (64)"),
    (FLAT, "{kind: global_pool}"): ("model.layers[1]", "a vector (64)"),
    (FLAT, "{kind: upsample, factor: 2}"): ("model.layers[1]", "a vector (64)"),
    (FLAT, "{kind: adaptive_pool, size: 2}"): ("model.layers[1]", "a vector (64)"),
    (FLAT, "{kind: conv_transpose, channels: 2, kernel: 2}"): ("model.layers[1]", "a vector (64)"),
    ("{kind: conv, channels: 4, kernel: 9}",): ("model.layers[0]", "9 × 9", "(1, 8, 8)", "padding"),
    ("{kind: conv, channels: 4, kernel: [3, 3, 3]}",): ("model.layers[0]", "kernel [3, 3, 3]", "one number"),
    ("{kind: conv, channels: 4, kernel: 3, groups: 3}",): ("model.layers[0]", "3 groups", "divisor"),
    ("{kind: conv, channels: 4, kernel: 3, padding: some}",): ("model.layers[0].padding", '"some"', '"same"'),
    ("{kind: conv, channels: 4, kernel: 3, stride: 0}",): ("model.layers[0].stride", "got 0"),
    ("{kind: conv, channels: 4, kernel: 3, activation: rleu}",): ("model.layers[0].activation", '"rleu"', '"relu"'),
    ("{kind: conv, channels: 1_000_000_000_000, kernel: 3}",): ("model.layers[0].channels", "1000000000000"),
    ("{kind: conv_transpose, channels: 2, kernel: 2, extra: 5}",): ("model.layers[0]", "extra of 5"),
    ("{kind: max_pool, size: 9}",): ("model.layers[0]", "9 × 9", "(1, 8, 8)"),
    ("{kind: dropout, rate: 1.5}",): ("model.layers[0].rate", "1.5"),
    ("{kind: group_norm, groups: 5}",): ("model.layers[0]", "5 groups", "{kind: group_norm, groups: 1}"),
    ("{kind: activation, name: relu, slope: 0.1}",): ("model.layers[0]", "slope", "leaky_relu"),
    ("{kind: upsample, factor: 100000}",): ("model.layers[0]", "factor"),
    ("{kind: repeat, times: 0, layers: [" + CONV + "]}",): ("model.layers[0].times", "got 0"),
    ("{kind: repeat, times: 2, first: {layers.7.stride: 2}, layers: [" + CONV + "]}",): ("model.layers[0]", "layers.7.stride"),
    (CONV, "{kind: residual, layers: [{kind: dense, width: 3}]}"): (
        "model.layers[1].layers[0]", "an image (4, 6, 6)", "{kind: flatten}",
    ),
    (CONV, "{kind: residual, shortcut: identity, layers: [" + CONV + "]}"): ("model.layers[1]",),
    ("{kind: repeat, times: 9, layers: [" + CONV + "]}",): ("model.layers[0]", "3 × 3", "padding"),
    ("{kind: parallel, join: concat, branches: [[" + CONV + "], [" + FLAT + "]]}",): ("model.layers[0]",),
    ("{kind: parallel, join: add, branches: [[" + CONV + "], [{kind: conv, channels: 5, kernel: 3}]]}",): (
        "model.layers[0]", "(4, 6, 6)", "(5, 6, 6)",
    ),
    ("{kind: residual, layers: [{kind: residual, layers: [{kind: conv, chanels: 1, channels: 1, kernel: 1}]}]}",): (
        "model.layers[0].layers[0].layers[0].chanels", 'did you mean "channels"?',
    ),
}
"""Networks, and what the message must say."""

DATA: dict[str, tuple[str, ...]] = {
    "kind: image_folder": ("data.path", "is missing"),
    "kind: image_folder, path: gone": ("gone", "does not exist"),
    "kind: image_folder, path: pts": ("pts", "pets"),
    "kind: image_folder, path: notes.txt": ("notes.txt", "is a file"),
    "kind: image_folder, path: nothing": ("nothing", "is empty"),
    "kind: image_folder, path: no_pictures": ("no_pictures", "no pictures"),
    "kind: image_folder, path: flat": ("flat", "class"),
    "kind: image_folder, path: corrupt": ("corrupt/cat/0.png", "no picture of a known format", "data.on_error=skip"),
    "kind: image_folder, path: cut": ("cut/dog/1.png", "damaged or cut off", "data.on_error=skip"),
    "kind: image_folder, path: huge": ("huge/cat/0.png", "pixels", "data.on_error=skip"),
    "kind: image_folder, path: hollow": ("mouse", "no picture"),
    "kind: image_folder, path: lonely": ("lonely", "cat", "two classes"),
    "kind: image_folder, path: pets, classes: [cat, dgo]": ("dog", "dgo"),
    "kind: image_folder, path: pets, classes: [cat, dog, cow]": ("cow",),
    "kind: image_folder, path: pets, on_error: ignore": ("data.on_error", '"ignore"', '"skip"'),
    "kind: image_folder, path: pets, fit: crp": ("data.fit", '"crp"', '"crop"'),
    "kind: image_table, path: table_column": ("metadata.csv", '"label"', 'did you mean "lable"?'),
    "kind: image_table, path: table_file": ("gone.png", "table_file"),
    "kind: image_table, path: table_outside": ("../../etc/passwd", "outside"),
    "kind: image_table, path: table_empty": ("metadata.csv", "no rows"),
    "kind: image_table, path: table_json": ("metadata.jsonl", "line 2"),
    "kind: image_table, path: pets": ("pets", "metadata.csv"),
    "kind: image_table, path: good.npz": ("good.npz", "wanted a table"),
    "kind: npz, path: objects.npz": ("objects.npz", "Python objects are never read"),
    "kind: npz, path: shape.npz": ("shape.npz", "(6, 4)", "(N, H, W)"),
    "kind: npz, path: rows.npz": ("rows.npz", "6 rows", "5"),
    "kind: npz, path: names.npz": ("names.npz", "pixels", "x and y"),
    "kind: npz, path: range.npz": ("range.npz", "-5", "0 to 255"),
    "kind: npz, path: broken.npz": ("broken.npz", "damaged"),
    "kind: npz, path: pets": ("pets", "is a folder"),
    "kind: npz, path: notes.txt": ("notes.txt", "npz"),
    "kind: mnist, path: idx_cut": ("train-images-idx3-ubyte", "cut off"),
    "kind: mnist, path: idx_magic": ("train-images-idx3-ubyte", "00 00 0d 03", "00 00 08 03"),
    "kind: mnist, path: idx_rows": ("20 pictures", "19 labels"),
    "kind: mnist, path: idx_gzip": ("train-images-idx3-ubyte.gz", "damaged or cut off"),
    "kind: mnist, path: idx_half": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "kind: mnist, path: pets": ("pets", "train-images-idx3-ubyte"),
    "kind: mnist, path: good.npz": ("good.npz", "is a file"),
    "kind: image_archive, path: escape.tar.gz": ("escape.tar.gz", "../../outside/0.png", "outside"),
    "kind: image_archive, path: plain.tar.gz": ("plain.tar.gz", "0.png", "outside the class folders"),
    "kind: image_archive, path: broken.tar.gz": ("broken.tar.gz", "damaged or cut off"),
    "kind: image_archive, path: pets": ("pets", "no archive"),
    "kind: image_archive, path: notes.txt": ("notes.txt", "wanted an archive"),
}
"""Data sections, and what the message must say."""

NOT_THE_USER: dict[tuple[str, ...], tuple[str, ...]] = {
    ("evaluate", "runs/flipped"): ("runs/flipped/model", "damaged", "model.safetensors"),
    ("predict", "runs/flipped", "good.png"): ("runs/flipped/model", "damaged", "model.safetensors"),
    ("predict", "runs/cut_weights", "good.png"): ("runs/cut_weights/model", "damaged"),
    ("predict", "runs/no_manifest", "good.png"): ("runs/no_manifest/model", "manifest.json"),
    ("report", "runs/scores"): ("evaluation/test.json", "damaged", "luthier evaluate"),
    ("report", "runs/key"): ("evaluation/test.json", "damaged", "luthier evaluate"),
    ("report", "runs/parquet"): ("evaluation/test.parquet", "damaged", "luthier evaluate"),
    ("report", "runs/network"): ("runs/network/model", "network.json", "damaged"),
    ("evaluate", "runs/timing"): ("runs/timing/facts.json", "damaged"),
    ("train", GOOD, "name=fresh", "optimizer.learning_rate=1e30"): ("finite", "checkpoint"),
    ("report", "runs/facts"): ("runs/facts/facts.json", "damaged"),
    ("train", GOOD, "--out", "runs/facts", "--resume"): ("runs/facts/facts.json", "damaged"),
}
"""Runs that a disk has damaged: exit code 1."""

ROWS: list[tuple[tuple[str, ...], tuple[str, ...], int]] = [
    *((arguments, phrases, 2) for arguments, phrases in COMMANDS.items()),
    *((("train", recipe), phrases, 2) for recipe, phrases in RECIPES.items()),
    *((override("name=fresh", *values), phrases, 2) for values, phrases in VALUES.items()),
    *((layers(*blocks), phrases, 2) for blocks, phrases in SHAPES.items()),
    *((override("name=fresh", f"data={{{text}}}"), phrases, 2) for text, phrases in DATA.items()),
    *((arguments, phrases, 1) for arguments, phrases in NOT_THE_USER.items()),
]


def shown(arguments: tuple[str, ...]) -> str:
    """The arguments as the name of a test."""
    return " ".join(arguments).removeprefix(f"train {GOOD} name=fresh ")[:60]


@pytest.mark.parametrize(
    ("arguments", "phrases", "code"), [pytest.param(*row, id=shown(row[0])) for row in ROWS]
)
def test_refused(
    luthier: Command, arguments: tuple[str, ...], phrases: tuple[str, ...], code: int
) -> None:
    outcome = luthier(*arguments)
    begun = Path("runs/fresh/resolved.yaml").exists()
    shutil.rmtree("runs/fresh", ignore_errors=True)
    assert faults(outcome.code, outcome.err, code, phrases) == [], outcome.err
    assert not begun or code == 1, "a run was begun"
