"""The published tables are the ones that run."""

from services.observer.reference import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python -m services.observer.reference`"
