"""What a worker writes down of the clip it is at, read from another process."""

from renderlift.bridge.steps_file import StepsFile, read_steps


def test_steps_are_read_while_a_clip_is_painted_and_no_longer(tmp_path):
    file = StepsFile()
    with file.beside(tmp_path):
        assert read_steps(tmp_path) is None
        file.write(3, 8)
        assert read_steps(tmp_path) == (3, 8)
    assert list(tmp_path.iterdir()) == []


def test_they_are_written_a_few_times_a_second_at_most(tmp_path, monkeypatch):
    now_s = iter([10.0, 10.1, 10.3, 10.4])
    monkeypatch.setattr("time.monotonic", lambda: next(now_s))
    file, read = StepsFile(), []
    with file.beside(tmp_path):
        for done in (0, 1, 2, 8):
            file.write(done, 8)
            read.append(read_steps(tmp_path))
    # The last one stands while pictures are decoded.
    assert read == [(0, 8), (0, 8), (2, 8), (8, 8)]


def test_those_of_a_worker_that_was_killed_are_not_taken_for_those_of_the_next(tmp_path):
    killed = StepsFile()
    killed.beside(tmp_path).__enter__()
    killed.write(3, 8)
    with StepsFile().beside(tmp_path):
        assert read_steps(tmp_path) is None


def test_a_clip_is_worth_more_than_its_steps(tmp_path):
    file = StepsFile()
    file.write(1, 8)  # of no piece
    with file.beside(tmp_path / "nowhere"):
        file.write(3, 8)
        assert read_steps(tmp_path / "nowhere") is None
    (tmp_path / "steps.json").write_text("[3")
    assert read_steps(tmp_path) is None
