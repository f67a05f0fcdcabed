"""Generates the Python code of every `.proto`, beside it; `--check` says instead whether what is committed is current.

Two trees: `proto/` (package `headraceapi`, the services' contracts) and `dataplane/runtime/` (what a node's transform
server speaks, shipped in a wheel of its own).
"""

import sys
import tempfile
from pathlib import Path

from tools.setup.step import ROOT, run

TREES = ("proto", "dataplane/runtime")


def generate(tree: Path, out: Path) -> None:
    """Generate the code of one tree into `out`."""
    sources = sorted(str(path.relative_to(tree)) for path in tree.rglob("*.proto") if ".venv" not in path.parts)
    if not sources:
        return
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{tree}", *outputs, *sources],
        what=f"generating the code of {tree.name}",
        cwd=tree,
    )


def stale(tree: Path) -> list[str]:
    """The generated files of a tree that are missing or differ from what would be generated."""
    with tempfile.TemporaryDirectory(prefix="headrace-proto-") as name:
        out = Path(name)
        generate(tree, out)
        fresh = {path.relative_to(out): path for path in out.rglob("*_pb2*.py*")}
        return [
            str((tree / path).relative_to(ROOT))
            for path, made in sorted(fresh.items())
            if not (tree / path).exists() or (tree / path).read_bytes() != made.read_bytes()
        ]


def main() -> int:
    """Generate, or with `--check` compare."""
    trees = [ROOT / name for name in TREES if (ROOT / name).exists()]
    if sys.argv[1:] != ["--check"]:
        for tree in trees:
            generate(tree, tree)
        return 0
    found = [path for tree in trees for path in stale(tree)]
    for path in found:
        print(f"{path} is not what its .proto gives: run `make proto` and commit it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
