"""The questions asked of the tiny models: well formed, with the right answers where they say."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsim.lm.tasks import BOS, Answer, Sample, copying, needle, recall
from kvsim.randomness import stream

TEXT = bytes(range(32, 64)) * 100 + b"plain text of small letters. " * 100
SEEDS = st.integers(0, 2**32)


def written(sample: Sample, start: int = 1, stop: int | None = None) -> bytes:
    return bytes(sample.tokens[start:stop].astype(np.uint8))


def told(sample: Sample, answer: Answer) -> bytes:
    return written(sample, answer.start, answer.stop)


def facts_of(sample: Sample) -> dict[bytes, bytes]:
    """By the form alone: what each planted fact says."""
    return dict(re.findall(rb"\n@([A-Z]{2})=([A-Z]{2});", written(sample)))


def followed(sample: Sample, answer: Answer) -> bytes:
    """The answer as the facts before the question give it, read off the question itself."""
    asked = re.search(rb"\n(\?+)([A-Z]{2})=$", written(sample, 1, answer.start))
    assert asked is not None
    name, links, before = asked[2], [], written(sample, 1, answer.start)
    for _ in asked[1]:
        (name,) = re.findall(rb"\n@" + name + rb"=([A-Z]{2});", before)
        links.append(name)
    return b"=".join(links)


class TestRecall:
    @given(SEEDS, st.integers(1, 12), st.integers(1, 3))
    def test_every_answer_follows_from_the_facts_before_its_question(
        self, seed: int, facts: int, hops: int
    ) -> None:
        sample = recall(stream(seed), TEXT, 400, facts, facts, hops)
        assert len(sample.tokens) == 400
        assert sample.tokens[0] == BOS
        assert len(facts_of(sample)) == len(sample.answers) == facts
        for answer in sample.answers:
            assert told(sample, answer) == followed(sample, answer)

    @given(SEEDS)
    def test_a_fact_lies_at_the_distance_and_depth_it_is_said_to_lie(self, seed: int) -> None:
        sample = recall(stream(seed), TEXT, 300, 6, 6)
        for answer in sample.answers:
            source = answer.start - answer.distance
            assert written(sample, source, source + 2) == told(sample, answer)
            assert answer.depth == source / 300

    def test_no_fact_is_asked_about_twice(self) -> None:
        questions = re.findall(rb"\?([A-Z]{2})=", written(recall(stream(0), b"text " * 99, 400, 12, 9)))
        assert len(questions) == len(set(questions)) == 9

    def test_what_nothing_foretells_is_the_facts_and_the_names_asked_about(self) -> None:
        sample = recall(stream(1), b"text " * 99, 200, 3, 2)
        spans = [written(sample, start, stop) for start, stop in sample.random]
        assert sorted(len(span) for span in spans) == [3, 3, 5, 5, 5]
        assert all(re.fullmatch(rb"[A-Z]{2}=[A-Z]{2}|\?[A-Z]{2}", span) for span in spans)

    def test_a_guess_is_right_once_in_676_for_each_link(self) -> None:
        samples = [recall(stream(seed), TEXT, 300, 8, 8, 2) for seed in range(20)]
        chances = {answer.stop - answer.start: answer.chance for s in samples for answer in s.answers}
        assert chances == {2: pytest.approx(1 / 676), 5: pytest.approx(1 / 676**2)}

    def test_more_than_fits_is_refused(self) -> None:
        with pytest.raises(ValueError, match="20 facts and questions do not fit into 100 tokens"):
            recall(stream(0), TEXT, 100, 10, 10)


class TestNeedle:
    @given(SEEDS, st.floats(0, 1), st.integers(0, 10), st.integers(1, 3))
    def test_the_question_ends_the_sample_and_follows_from_the_facts(
        self, seed: int, depth: float, distractors: int, hops: int
    ) -> None:
        sample = needle(stream(seed), TEXT, 500, depth, distractors, hops)
        (answer,) = sample.answers
        assert (len(sample.tokens), answer.stop) == (500, 499)
        assert told(sample, answer) == followed(sample, answer)
        assert len(told(sample, answer)) == 3 * hops - 1

    @given(SEEDS, st.floats(0, 1))
    def test_the_asked_fact_lies_at_its_depth(self, seed: int, depth: float) -> None:
        (answer,) = needle(stream(seed), TEXT, 1000, depth, 7).answers
        assert answer.depth == pytest.approx(depth, abs=0.08)  # 9 lines of 8 to 9 tokens stand in 1,000

    @pytest.mark.parametrize(("depth", "distance"), [(0.0, 983 + 8), (1.0, 8)])
    def test_alone_it_is_as_far_back_as_the_text_behind_it_is_long(self, depth: float, distance: int) -> None:
        # 1,000 tokens: one that begins, 983 of text, a fact and a question of 8, alike but for `@` and `?`
        (answer,) = needle(stream(3), TEXT, 1000, depth, distractors=0).answers
        assert answer.distance == distance


class TestCopying:
    @given(SEEDS, st.integers(1, 30), st.integers(0, 300))
    def test_the_string_stands_there_twice_at_its_distance(self, seed: int, size: int, distance: int) -> None:
        sample = copying(stream(seed), TEXT, 300, size, distance)
        (answer,) = sample.answers
        source = answer.start - answer.distance
        assert len(sample.tokens) == 300
        assert re.fullmatch(rb"[a-z]{%d}" % size, told(sample, answer))
        assert written(sample, source - 2, source + size + 1) == written(
            sample, answer.start - 2, answer.stop + 1
        )
        assert answer.distance == min(max(distance, size + 3), 300 - 1 - (size + 3))
        assert answer.chance == pytest.approx(1 / 26**size)


@given(SEEDS)
def test_a_seed_makes_the_same_sample_again(seed: int) -> None:
    one, other = (needle(stream(seed), TEXT, 200, 0.5, hops=2) for _ in range(2))
    assert one.tokens.tobytes() == other.tokens.tobytes()
    assert one.answers == other.answers
