"""The table of planted bugs says what was found by what, and what was not."""

from pathlib import Path

from tests.sim.mutants.plant import mutants
from tests.sim.mutants.table import PAGE, Found, page, write


def test_the_table_has_a_row_for_each_and_counts_what_was_found(tmp_path: Path) -> None:
    first, second, third = mutants()[:3]
    found = [Found(first, "OneHolder", 4, 5), Found(second, "Progress", 0, 1), Found(third, "", -1, 1000)]
    write(found, tmp_path / "table.md")
    text = (tmp_path / "table.md").read_text()
    assert text == page(found)
    assert f"| `{first.name}` | {first.sentence} | `OneHolder` | 4 | 5 |" in text
    assert f"| `{third.name}` | {third.sentence} | **nothing** |  | 1,000 |" in text
    assert "2 of 3 found, half of them within 5 seeds, all of those within 5." in text


def test_a_hunt_without_any_find_says_so() -> None:
    assert "0 of 1 found." in page([Found(mutants()[0], "", -1, 3)])


def test_the_page_names_no_planted_bug_that_is_none() -> None:
    names = {m.name for m in mutants()}
    rows = [line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert set(rows) <= names
    assert len(rows) == len(set(rows))
