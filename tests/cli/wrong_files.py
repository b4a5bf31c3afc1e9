"""Files that a person might give by mistake, or that a disk has damaged."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from luthier.checkpoint.document import sealed, unsealed
from luthier.yaml_source import MAX_BYTES


def write_wrong_files() -> None:
    """All of them, in the working directory; `runs/digits` is a finished run there."""
    _recipes()
    _pictures()
    _tables()
    _arrays()
    _idx()
    _archives()
    _runs()


def _recipes() -> None:
    good = Path("digits.yaml").read_text()
    Path("folder.yaml").mkdir()
    Path("empty.yaml").write_text("")
    Path("comment.yaml").write_text("# nothing but a comment\n")
    Path("binary.yaml").write_bytes(b"\x00\x01\xff\xfe\x80")
    Path("nul.yaml").write_bytes(b"name: a\x00b\n")
    Path("list.yaml").write_text("- 1\n- 2\n")
    Path("text.yaml").write_text("hello\n")
    Path("twice.yaml").write_text(good + "name: again\n")
    Path("open.yaml").write_text("name: [digits\n")
    Path("tabs.yaml").write_text("model:\n\tlayers: []\n")
    Path("tag.yaml").write_text("name: !!python/object/apply:os.system [ls]\n")
    Path("deep.yaml").write_text("name: " + "[" * 100 + "]" * 100 + "\n")
    Path("long.yaml").write_text("name: " + "x" * (MAX_BYTES + 1) + "\n")
    rows = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for last, name in zip("abcde", "bcdef", strict=True):
        rows.append(f"{name}: &{name} [{', '.join(['*' + last] * 10)}]")
    Path("bomb.yaml").write_text("\n".join(rows))
    Path("two.yaml").write_text(good + "---\n" + good)
    Path("many.yaml").write_text(
        "name: many\n"
        "task: {kind: clasify}\n"
        "data: {kind: digits, limt: 3}\n"
        "model:\n"
        "  layers:\n"
        "    - {kind: conv, chanels: 4, kernel: 3}\n"
        "    - {kind: dense, width: wide}\n"
        "training: {epochs: 0}\n"
    )
    Path("notes.txt").write_text("not a picture, not a recipe\n")


def _paint(name: str, seed: int) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _pets(folder: str, rows: int = 6) -> None:
    for number in range(rows):
        _paint(f"{folder}/cat/{number}.png", number)
        _paint(f"{folder}/dog/{number}.png", 100 + number)


def _pictures() -> None:
    _pets("pets")
    Path("nothing").mkdir()
    _pets("corrupt")
    Path("corrupt/cat/0.png").write_bytes(b"no picture at all")
    _pets("cut")
    whole = Path("cut/dog/1.png").read_bytes()
    Path("cut/dog/1.png").write_bytes(whole[: len(whole) // 2])
    _pets("huge")
    Path("huge/cat/0.png").write_bytes(png_head(50_000, 50_000))
    _pets("hollow")
    Path("hollow/mouse").mkdir()
    _pets("lonely")
    shutil.rmtree("lonely/dog")
    _paint("flat/0.png", 0)
    Path("no_pictures").mkdir()
    Path("no_pictures/notes.txt").write_text("nothing to see\n")
    Path("huge.png").write_bytes(png_head(50_000, 50_000))
    Path("empty.png").write_bytes(b"")
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("text.png").write_text("I am text\n")
    _paint("good.png", 1)


def png_head(width: int, height: int) -> bytes:
    """A picture that says it is large, in a few bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(b"\0"))


def _chunk(kind: bytes, content: bytes) -> bytes:
    length, check = struct.pack(">I", len(content)), struct.pack(">I", zlib.crc32(kind + content))
    return length + kind + content + check


def _tables() -> None:
    for name, header, last in (
        ("table_column", "file_name,lable", "0.png,cat"),
        ("table_file", "file_name,label", "gone.png,cat"),
        ("table_outside", "file_name,label", "../../etc/passwd,cat"),
        ("table_empty", "file_name,label", ""),
    ):
        _pets(name, rows=2)
        lines = [header, "cat/0.png,cat", "dog/0.png,dog", last]
        Path(name, "metadata.csv").write_text("\n".join(lines if last else lines[:1]) + "\n")
    _pets("table_json", rows=2)
    Path("table_json/metadata.jsonl").write_text('{"file_name": "cat/0.png", "label": "cat"}\n{"fi')


def _arrays() -> None:
    x, y = np.zeros((6, 4, 4), np.uint8), np.arange(6) % 2
    np.savez("good.npz", x=x, y=y)
    np.savez("objects.npz", x=x, y=np.array([{"a": 1}] * 6, dtype=object))
    np.savez("shape.npz", x=np.zeros((6, 4)), y=y)
    np.savez("rows.npz", x=x, y=y[:5])
    np.savez("names.npz", pixels=x, y=y)
    np.savez("range.npz", x=x.astype(np.int64) - 5, y=y)
    Path("broken.npz").write_bytes(Path("good.npz").read_bytes()[:200])


def _idx() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 6), dtype=np.uint8)
    labels = (np.arange(20) % 2).astype(np.uint8)
    images = b"\0\0\x08\x03" + struct.pack(">3I", *pixels.shape) + pixels.tobytes()
    numbers = b"\0\0\x08\x01" + struct.pack(">I", 20) + labels.tobytes()
    fewer = b"\0\0\x08\x01" + struct.pack(">I", 19) + labels[:19].tobytes()
    for name, first, second in (
        ("idx_cut", images[:300], numbers),
        ("idx_magic", b"\0\0\x0d\x03" + images[4:], numbers),
        ("idx_rows", images, fewer),
        ("idx_gzip", gzip.compress(images, mtime=0)[:100], numbers),
    ):
        Path(name).mkdir()
        suffix = ".gz" if name == "idx_gzip" else ""
        Path(name, f"train-images-idx3-ubyte{suffix}").write_bytes(first)
        Path(name, "train-labels-idx1-ubyte").write_bytes(second)
    Path("idx_half").mkdir()
    Path("idx_half/train-images-idx3-ubyte").write_bytes(images)


def _archives() -> None:
    picture = Path("good.png").read_bytes()
    for name, member in (("escape.tar.gz", "../../outside/0.png"), ("plain.tar.gz", "0.png")):
        with tarfile.open(name, "w:gz") as archive:
            for at in ("cat/0.png", "dog/0.png", member):
                info = tarfile.TarInfo(at)
                info.size = len(picture)
                archive.addfile(info, io.BytesIO(picture))
    Path("broken.tar.gz").write_bytes(Path("plain.tar.gz").read_bytes()[:150])


def _runs() -> None:
    whole = Path("runs/digits")
    damaged = ("flipped", "cut_weights", "no_manifest", "network", "resolved")
    damaged += ("scores", "key", "parquet", "facts", "renamed", "unfinished")
    for name in damaged:
        shutil.copytree(whole, Path("runs", name))
    flip(Path("runs/flipped/model/model.safetensors"), -7)
    weights = Path("runs/cut_weights/model/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    Path("runs/no_manifest/model/manifest.json").unlink()
    scores = Path("runs/scores/evaluation/test.json")
    scores.write_text(scores.read_text().replace("0.", "1.", 1))
    key = Path("runs/key/evaluation/test.json")
    key.write_text(key.read_text().replace('"headline"', '"headlime"'))
    flip(Path("runs/parquet/evaluation/test.parquet"), 300)
    network = Path("runs/network/model/network.json")
    network.write_bytes(network.read_bytes()[:100])
    renamed = Path("runs/renamed/facts.json")
    renamed.write_text(renamed.read_text().replace('"fingerprint"', '"fingerprinu"'))
    Path("runs/facts/facts.json").write_text('{"timing": ')
    Path("runs/resolved/resolved.yaml").write_text("name: [digits\n")
    shutil.rmtree("runs/unfinished/model")
    shutil.rmtree("runs/unfinished/evaluation")
    facts = unsealed(Path("runs/unfinished/facts.json").read_bytes())
    for name in ("finished_step", "timing", "outcome", "notes", "evaluated", "sentence"):
        facts.pop(name, None)
    Path("runs/unfinished/facts.json").write_bytes(sealed(facts))
    Path("runs/bare").mkdir()
    Path("runs/file").write_text("I am a file\n")
    Path("taken").mkdir()
    Path("taken/thesis.txt").write_text("precious\n")


def flip(file: Path, position: int) -> None:
    """One bit of the file, as a bad disk would."""
    content = bytearray(file.read_bytes())
    content[position] ^= 4
    file.write_bytes(content)
