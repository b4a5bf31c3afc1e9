"""Makes a table of the Asterisk prompts: 24 minutes of one speaker, with what she says.

    apt-get download asterisk-core-sounds-en asterisk-core-sounds-en-wav
    python benchmarks/asterisk_prompts.py FOLDER_WITH_BOTH OUT

The Debian packages are CC BY-SA 3.0. Tones and silences, whose texts stand in brackets, are left
out; every tenth prompt by name is tested on, and every tenth after the fifth chooses.
"""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
import sys
from pathlib import Path

SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
EVERY = 10


def main(packages: Path, out: Path) -> int:
    """Writes `OUT/prompts.csv`, with the sounds beside it."""
    for package in sorted(packages.glob("asterisk-core-sounds-en*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(out / "package")], check=True)
    lines = gzip.decompress((out / "package" / TEXTS).read_bytes()).decode().splitlines()
    rows = []
    for line in lines:
        name, colon, text = line.partition(":")
        sound = Path("package") / SOUNDS / f"{name}.wav"
        text = re.sub(r"\(.*?\)|\[.*?\]|<.*?>", "", text).strip()
        said = colon and not line.startswith(";") and text
        if said and (out / sound).exists():
            rows.append((str(sound), text))
    rows.sort()
    with (out / "prompts.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "text", "split"])
        for number, row in enumerate(rows):
            splits = {0: "test", EVERY // 2: "validation"}
            table.writerow([*row, splits.get(number % EVERY, "train")])
    print(f"{out / 'prompts.csv'}: {len(rows)} prompts")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
