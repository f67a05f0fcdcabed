"""`make check`: every check that does not run the product. All of them run, also after one has failed."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.setup.step import ROOT

CODE = (
    "headrace",
    "services",
    "workflows",
    "shared",
    "dataplane",
    "localcloud",
    "tools",
    "benchmarks",
    "tests",
    "examples",
)
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Check:
    """A command that must end with 0, and what to do when it does not."""

    name: str
    command: tuple[str, ...]
    remedy: str


def checks() -> list[Check]:
    """The checks that apply to what is there."""
    code = tuple(name for name in CODE if (ROOT / name).exists())
    python = str(BIN / "python")
    found = [
        Check("lint", (str(BIN / "ruff"), "check", "--quiet", *code), "`make format` repairs some of it"),
        Check("format", (str(BIN / "ruff"), "format", "--check", "--quiet", *code), "`make format`"),
        Check("layers", (str(BIN / "lint-imports"), "--no-logo"), "see ARCHITECTURE.md: who may import whom"),
        Check("wire contracts", (str(BIN / "buf"), "lint"), "mend the .proto"),
        Check("generated code", (python, "-m", "tools.generate_proto", "--check"), "`make proto`"),
        Check("rules of AWS", (python, "-m", "tools.generate_aws_behaviour", "--check"), "see what it says"),
        Check("types", (str(BIN / "mypy"), "--no-error-summary", *code), "mend the types"),
    ]
    if (ROOT / "docs" / "reference" / "openapi.json").exists():
        found.append(Check("OpenAPI", (python, "-m", "tools.generate_openapi", "--check"), "`make openapi`"))
    return found


def main() -> int:
    """Run them; returns 1 when one failed."""
    failed = 0
    for check in checks():
        began = time.monotonic()
        done = subprocess.run(check.command, cwd=ROOT, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        print(f"  {check.name:<16} {'ok' if done.returncode == 0 else 'FAILED':<7} {took:5.1f} s", flush=True)
        if done.returncode:
            failed += 1
            print(f"{done.stdout}{done.stderr}\n  {check.name}: {check.remedy}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
