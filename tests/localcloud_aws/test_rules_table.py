"""The table of rules names tests that exist, and the document is what the table says."""

from pathlib import Path

from tests.localcloud_aws.rule import Rule
from tools.generate_aws_behaviour import PLACE, missing, written


def test_the_document_is_fresh_and_its_tests_exist() -> None:
    assert missing() == []
    assert PLACE.read_text() == written(PLACE.read_text())


def test_a_rule_whose_test_does_not_exist_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_there() -> None: ...\n")
    rules = (Rule("a", "p", "test_x.py::test_there", "m"), Rule("b", "p", "test_x.py::test_gone", "m"))
    assert missing((("s", rules),), tmp_path) == ["test_x.py::test_gone"]
