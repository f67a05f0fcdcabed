"""Writes the table of rules into docs/aws-behaviour.md; `--check` says instead whether it is current and its tests exist."""

import ast
import sys
from pathlib import Path

from tests.localcloud_aws.rule import PAGES, Rule
from tests.localcloud_aws.rules import SECTIONS
from tools.setup.step import ROOT

PLACE = ROOT / "docs" / "aws-behaviour.md"
TESTS = ROOT / "tests" / "localcloud_aws"
BEGIN = "<!-- generated from tests/localcloud_aws/rules.py: python -m tools.generate_aws_behaviour -->"
END = "<!-- end of what is generated -->"


def table() -> str:
    """The rows, by section."""
    lines: list[str] = []
    for title, rules in SECTIONS:
        lines += [f"### {title}", "", "| rule | AWS says so in | shown by | moto alone |", "|---|---|---|---|"]
        lines += [row(rule) for rule in rules]
        lines.append("")
    return "\n".join(lines)


def row(rule: Rule) -> str:
    """One row; a page is shown by its own name."""
    page = Path(rule.page).name.partition("#")[0].removesuffix(".html")
    cells = (rule.rule, f"[{page}]({PAGES}{rule.page})", f"`{rule.test}`", rule.moto)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def written(text: str) -> str:
    """The document with the table of now; ValueError if it has no place for it."""
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{PLACE} must have the lines {BEGIN!r} and {END!r}: put them around the table's place")
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


def missing(sections: tuple[tuple[str, tuple[Rule, ...]], ...] = SECTIONS, tests: Path = TESTS) -> list[str]:
    """The tests that rules name and that do not exist."""
    named = {rule.test for _, rules in sections for rule in rules}
    return sorted(named - existing(tests))


def existing(tests: Path) -> set[str]:
    """Every test of a folder as file::name."""
    return {
        f"{file.name}::{node.name}"
        for file in tests.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def main() -> int:
    """Write, or with `--check` compare."""
    if absent := missing():
        print("rules name tests that do not exist in tests/localcloud_aws: " + ", ".join(absent))
        return 1
    text = written(PLACE.read_text())
    if sys.argv[1:] == ["--check"]:
        if PLACE.read_text() == text:
            return 0
        print(f"{PLACE.relative_to(ROOT)} is not what the rules say: run `python -m tools.generate_aws_behaviour`")
        return 1
    PLACE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
