"""How `dev.py serve` asks for its processes."""

import pytest

import dev


@pytest.mark.parametrize("said, count", [(None, "2"), ("", "2"), (" ", "2"), ("1", "1"), ("8", "8"), (" 4 ", "4")])
def test_there_are_as_many_processes_as_web_concurrency_says_or_two(monkeypatch, said, count):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    if said is not None:
        monkeypatch.setenv("WEB_CONCURRENCY", said)
    assert dev.process_count() == count


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5", "²", "1;2"])
def test_what_is_no_number_of_processes_ends_with_a_sentence(monkeypatch, said):
    monkeypatch.setenv("WEB_CONCURRENCY", said)
    with pytest.raises(SystemExit, match="is no number of processes"):
        dev.process_count()
