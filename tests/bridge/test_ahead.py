"""Working ahead keeps order, bounds and errors."""

import threading
import time
from collections.abc import Iterator

import pytest

from renderlift.bridge.ahead import ahead


def test_every_item_comes_once_and_in_order() -> None:
    assert list(ahead(range(1000), 3)) == list(range(1000))
    assert list(ahead(iter(()), 1)) == []


def test_at_most_size_items_wait_or_are_in_the_making() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    for taken in ahead(numbers(), 2):
        time.sleep(0.002)
        # The reader holds one, two wait.
        assert len(made) <= taken + 1 + 2


def test_maker_and_reader_work_at_the_same_time() -> None:
    made_second, read_first = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield 1
        # Ends only if the reader is at work on the first meanwhile, and waits for the second.
        assert read_first.wait(5)
        made_second.set()
        yield 2

    reader = ahead(numbers(), 1)
    assert next(reader) == 1
    read_first.set()
    assert made_second.wait(5)
    assert list(reader) == [2]


def test_an_error_arrives_after_the_items_made_before_it() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("disk gone")

    taken: list[int] = []
    with pytest.raises(OSError, match="disk gone"):
        taken.extend(ahead(numbers(), 1))
    assert taken == [1, 2]


@pytest.mark.parametrize("read", [0, 1, 5])
def test_leaving_early_closes_the_source_and_ends_its_thread(read: int) -> None:
    closed = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed.set()

    before = threading.active_count()
    reader = ahead(numbers(), 1)
    for _ in range(read):
        next(reader)
    reader.close()
    assert closed.is_set() == (read > 0)  # a source that was never asked has nothing to close
    assert threading.active_count() == before


def test_a_size_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        next(ahead([1], 0))
