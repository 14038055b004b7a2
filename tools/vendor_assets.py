"""Fetch the libraries of the browser from npm, at the versions of `vendor.yaml`, and write down their digests: run it by itself.

The files are part of the package, so that nothing is built or fetched when it is installed or run. To move to another version,
change it in `vendor.yaml` and run this; it needs npm.
"""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "src/thresher/lab/static/vendor/vendor.yaml"


def main() -> None:
    """Fetch every package of the record and write its files, its licence and their digests."""
    record = yaml.safe_load(RECORD.read_text("utf-8"))
    for package in record["packages"]:
        with tempfile.TemporaryDirectory() as folder:
            name = f"{package['name']}@{package['version']}"
            subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                archive.extractall(folder, filter="data")
            for row in package["files"]:
                content = (Path(folder) / "package" / row["from"]).read_bytes()
                target = ROOT / row["to"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                row["sha256"] = hashlib.sha256(content).hexdigest()
        print(name)
    heading = "".join(line for line in RECORD.open(encoding="utf-8") if line.startswith("#"))
    RECORD.write_text(heading + yaml.safe_dump(record, sort_keys=False, width=130), "utf-8")


if __name__ == "__main__":
    main()
