"""What a build learns from: every topic and document, in fair shares, and never a question that it is to be asked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from knowledge import head as heads
from knowledge.confidence import Sample
from knowledge.head import FOLDS, Examples, _folds
from knowledge.learning import QUESTIONS_FOR_HEAD, better, examples
from knowledge.library import Found, Library
from knowledge.ranking import HEAD, WORDS
from knowledge.rehearsal import (
    ABSENT_SHARE,
    CHAT_SHARE,
    LONE_AT_MOST,
    Stage,
    bare_texts,
    in_their_share,
    rehearse_labelled,
    script,
)

ASKED = {
    "invoice": [
        "Where is my invoice?",
        "I need a receipt",
        "How do I download the bill?",
        "Send me last month's invoice",
    ],
    "refund": [
        "How do I get my money back?",
        "I want a refund",
        "Can you return my payment?",
        "Reimburse me please",
    ],
    "password": [
        "How do I reset my password?",
        "I forgot my password",
        "The login does not take my password",
        "New password please",
    ],
    "cancel": [
        "How do I cancel?",
        "End my subscription",
        "I want to stop paying",
        "Close my plan at the end of the month",
    ],
}
FILES = {
    f"{topic}.md": f"---\n{json.dumps({'id': topic, 'questions': asked})}\n---\nThe approved text about {topic}.\n"
    for topic, asked in ASKED.items()
}
DOCUMENT = (
    "# Printing labels\nLabels come out of the label printer.\n\n"
    "## Paper jam\nOpen the flap on the left and pull the roll out towards you.\n\n"
    "## Faint print\nClean the thermal head with alcohol.\n"
)


async def asked(library: Library, files, write, question: str) -> list[tuple[str, float]]:
    await library.activate((await library.build([write(files)])).info.id)
    found = await library.search(question)
    return [(hit.topic, hit.evidence["head"]) for hit in found.hits]


async def test_a_document_beside_topics_with_many_questions_is_found_by_what_it_says(write, open_library):
    files = {**FILES, "labels.md": DOCUMENT}
    for question, passage in (
        ("The print is faint, what should I clean?", "Faint print"),
        ("How do I get the stuck roll out?", "Paper jam"),
    ):
        hits = await asked(open_library(), files, write, question)

        assert hits[0][0] == "labels", passage
        assert hits[0][1] > 0.5


async def test_questions_of_topics_still_find_their_topic_beside_a_long_document(write, open_library):
    sections = "\n\n".join(
        f"## Part {number} of the label printer\nPart {number} is oiled once a year with {number} drops."
        for number in range(60)
    )
    library = open_library()
    await library.activate(
        (await library.build([write({**FILES, "labels.md": f"# Label printer\n\n{sections}\n"})])).info.id
    )

    for topic, question in (
        ("refund", "can I have my money returned"),
        ("cancel", "please end my plan"),
        ("invoice", "send the bill again"),
    ):
        assert (await library.search(question)).hits[0].topic == topic


def test_however_long_a_document_is_it_counts_no_more_than_a_few_questions(stage_of):
    sections = "\n\n".join(f"## Part {number}\nText number {number}." for number in range(50))
    stage: Stage = stage_of({**FILES, "long.md": f"# Long\n\n{sections}\n"})

    learned = examples(stage)

    for number, topic in enumerate(stage.topics):
        weight = sum(one for one, of in zip(learned.weights, learned.topics, strict=True) if of == number)
        assert weight <= len(topic.questions) + 2 * QUESTIONS_FOR_HEAD + 1e-6, topic.id
        assert weight > 0, "every topic is known"


def test_an_example_is_learned_once_though_it_leads_to_several_passages(stage_of):
    text = (
        "---\nid: guide\nkind: document\nquestions: [How do I begin?]\n---\n# One\nFirst.\n\n# Two\nSecond.\n"
    )
    learned = examples(stage_of({**FILES, "guide.md": text}))

    assert list(learned.texts).count("How do I begin?") == 1


def test_a_text_that_begins_with_a_question_is_not_known_when_that_question_is_rehearsed():
    """Two topics whose questions mean nothing, so that only the text behind a question could give its topic away."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((40, 384)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    questions = [f"qz{number}x" for number in range(40)]
    topics = [number % 2 for number in range(40)]
    texts = [*questions, *(f"{question}\nanswer" for question in questions)]
    learned = Examples(np.vstack([noise, noise]), texts, topics * 2, [1.0] * 80)

    _, unseen = heads.fit(learned, np.zeros((0, 384), dtype=np.float32), [], 384)

    right = unseen[:40, :2].argmax(axis=1) == np.array(topics)
    assert right.mean() < 0.75  # with its text in another fold it would be 1


@pytest.mark.parametrize(("each", "told_apart"), [(4, False), (200, True)])
def test_the_early_layers_count_as_far_as_there_are_examples(each, told_apart):
    """Two topics that only an early layer can tell apart. A few examples would make it a rule of what is chance."""
    rng = np.random.default_rng(1)

    def examples_of(count: int) -> tuple[np.ndarray, list[int]]:
        topics = [number % 2 for number in range(count)]
        rows = rng.standard_normal((count, 16)).astype(np.float32)
        rows[:, 8] += np.where(topics, 3.0, -3.0)
        for part in (slice(0, 8), slice(8, 16)):
            rows[:, part] /= np.linalg.norm(rows[:, part], axis=1, keepdims=True)
        return rows, topics

    rows, topics = examples_of(2 * each)
    learned = Examples(rows, [f"q{number}" for number in range(2 * each)], topics, [1.0] * len(topics))

    head, _ = heads.fit(learned, np.zeros((0, 16), dtype=np.float32), [], 8)

    asked, right = examples_of(400)
    said = head.log_probabilities(asked, [""] * 400)[:, :2].argmax(axis=1)
    assert head.trust == min(1.0, each / heads.MANY)
    assert (np.mean(said == right) > 0.95) == told_apart


def test_a_head_is_the_same_after_a_restart(tmp_path):
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((30, 12)).astype(np.float32)
    texts = [f"word{number % 7} and {number}" for number in range(30)]
    head, _ = heads.fit(Examples(rows, texts, [n % 3 for n in range(30)], [1.0] * 30), rows[:4], texts[:4], 4)

    head.save(tmp_path / "head.npz")

    again = heads.Head.load(tmp_path / "head.npz")
    assert np.array_equal(again.log_probabilities(rows, texts), head.log_probabilities(rows, texts))


def test_questions_that_are_alone_are_rehearsed_in_a_sample_and_the_others_as_far_as_there_is_room(stage_of):
    lone = {
        f"lone{number}.md": f"---\nquestion: Where is shelf {number}?\n---\nText {number}.\n"
        for number in range(250)
    }
    stage: Stage = stage_of({**lone, **FILES})

    lines = script(stage)

    alone = [line for line in lines if line.text.startswith("Where is shelf")]
    assert len(alone) == LONE_AT_MOST
    assert {question for asked in ASKED.values() for question in asked} <= {line.text for line in lines}
    assert len(bare_texts(stage, lines)) == LONE_AT_MOST  # what a build embeds only to rehearse
    assert script(stage) == lines


async def before_and_after(
    write, open_library, question: str, labelled: list[tuple[str, str]]
) -> tuple[Found, Found]:
    """What is found for the question without the labelled ones, and with them."""
    library, folder = open_library(), write(FILES)
    await library.activate((await library.build([folder])).info.id)
    before = await library.search(question)
    await library.keep_labelled(labelled)
    await library.activate((await library.build([folder])).info.id)
    return before, await library.search(question)


async def test_a_labelled_question_teaches_what_no_example_says(write, open_library):
    labelled = [(f"the blue thing will not {verb}", "cancel") for verb in ("start", "load", "go")]
    question = "the blue thing will not open since Tuesday"
    before, after = await before_and_after(write, open_library, question, labelled)

    assert after.hits[0].topic == "cancel"
    assert (
        max(hit.evidence["head"] for hit in before.hits if hit.topic == "cancel")
        < after.hits[0].evidence["head"]
    )


async def test_a_question_labelled_as_not_covered_makes_the_like_of_it_less_sure(write, open_library):
    labelled = [(f"where can I buy a {what}", "") for what in ("notebook", "password book", "pen")]
    before, after = await before_and_after(write, open_library, "where do I buy a password book", labelled)

    assert after.hits[0].evidence["head"] < before.hits[0].evidence["head"] - 0.1


def test_labelled_questions_leave_what_is_not_covered_in_its_share(stage_of):
    """Teams label what they have answered: a thousand such questions must not make strangers seem rare."""
    stage: Stage = stage_of(FILES)
    vectors = stage.vectors
    chat = [Sample((0.0,) * 7, False, 1.0, "chat", covered=False) for _ in range(10)]
    told = [
        (f"question {at}", at % len(stage.topics), vectors[at % len(vectors)], None) for at in range(1000)
    ]

    samples = in_their_share(rehearse_labelled(stage, told) + chat)
    share = {
        kind: sum(one.weight for one in samples if one.kind == kind)
        for kind in ("labelled", "absent", "chat")
    }

    assert share["absent"] == pytest.approx(ABSENT_SHARE * share["labelled"])
    assert share["chat"] == pytest.approx(CHAT_SHARE * (share["labelled"] + share["absent"]))
    assert not any(one.right for one in samples if one.kind in ("absent", "chat"))


def test_questions_labelled_as_not_covered_count_as_they_are(stage_of):
    stage: Stage = stage_of(FILES)
    samples = in_their_share(rehearse_labelled(stage, [("where is the moon", -1, stage.vectors[0], None)]))

    assert [(one.kind, one.weight, one.covered) for one in samples] == [("strange", 1.0, False)]


def test_the_ranking_leans_on_words_only_where_they_clearly_find_more():
    """One standard error of the questions that just one of the two finds."""

    def samples(right: list[bool]) -> list[Sample]:
        return [Sample((0.0,) * 7, one, 1.0, "own") for one in right] + [
            Sample((0.0,) * 7, True, 1.0, "chat")
        ]

    both, neither = [True] * 50, [False] * 20
    chance, clear = [False] * 8 + [True] * 6, [False] * 9 + [True] * 5
    for head, words, lean in (
        (both + chance, both + [not one for one in chance], HEAD),
        (both + clear, both + [not one for one in clear], WORDS),
        (both + [not one for one in clear], both + clear, HEAD),
        (neither, neither, HEAD),
    ):
        assert better({HEAD: samples(head), WORDS: samples(words)}) == lean
    assert better({HEAD: samples(clear)}) == HEAD


def test_the_questions_of_a_topic_are_dealt_out_over_the_folds():
    """A fold that took most of a topic's few questions would rehearse a head that hardly knows the topic."""
    questions = [f"question {number} about topic {topic}" for topic in range(40) for number in range(FOLDS)]
    texts = [*questions, *(f"{one}\nand its answer" for one in questions)]
    labels = np.array([at // FOLDS for at in range(len(questions))] * 2)

    folds = _folds(texts, labels)

    for topic in range(40):
        assert sorted(folds[topic * FOLDS : (topic + 1) * FOLDS]) == list(range(FOLDS))
    assert folds[: len(questions)].tolist() == folds[len(questions) :].tolist()
    assert np.array_equal(_folds(texts[::-1], labels[::-1])[::-1], folds)


async def test_where_only_the_texts_say_what_is_asked_for_the_ranking_leans_on_words(write, open_library):
    """Each question names a part that nothing but its topic's text names, so that no other question helps the head."""
    rooms = ("north", "south", "east", "west", "upper", "lower", "inner", "outer", "middle", "corner")
    parts = """anchor basket candle drawer ember funnel garnet hammer island jigsaw kettle ladder mirror needle orchid pillow
    quartz ribbon saddle teapot urchin velvet walnut yarn zipper apron bucket carpet dustpan easel feather goblet hinge icicle
    jacket kazoo lantern magnet napkin oyster""".split()  # noqa: SIM905 - as a list it would be a page
    topics = {
        f"{room}.md": json.dumps(
            {"title": f"The {room} room", "questions": [f"What about the {part}?" for part in mine]}
        )
        for room, mine in ((room, parts[4 * at : 4 * at + 4]) for at, room in enumerate(rooms))
    }
    texts = {
        f"{room}.md": f"Kept in the {room} room: "
        + ", ".join(f"the {part}" for part in parts[4 * at : 4 * at + 4])
        for at, room in enumerate(rooms)
    }
    library = open_library()
    files = {name: f"---\n{head}\n---\n{texts[name]}.\n" for name, head in topics.items()}
    await library.activate((await library.build([write(files)])).info.id)

    assert library.calibration().lean == WORDS
    again = open_library()
    await again.open()
    assert again.calibration() == library.calibration()
