"""Every source format becomes topics, and every mistake becomes a complaint with file and line."""

from __future__ import annotations

import io
import os
from pathlib import Path

import docx
import pytest

from knowledge import reader
from knowledge.passage import Complaint, Topic

TOPIC = """---
id: refund-policy
title: Refund policy
questions:
  - How do I get my money back?
  - Can I have a refund?
level: draft
category: billing
audience: [C123, role:partner]
tags: [money]
escalate_when:
  - customer mentions a chargeback
owner: maria
reviewed: 2026-10-01
valid_from: 2026-01-01
valid_to: 2026-12-31
related: [invoices]
course: advanced
---
Customers can request a refund within 14 days.
"""
PLAIN = """Topic: Reset a password
Approved answer: Use the link on the sign-in page.
It works for one hour.
Escalate when:
- the mail never arrives
- the account is locked

Topic: Change the mail address
Questions:
- How do I change my mail?
Approved answer: Open the profile page.
"""


def read(folder: Path, **options: int) -> tuple[list[Topic], list[Complaint]]:
    return reader.read([folder], **options)


def only(folder: Path) -> Topic:
    topics, complaints = read(folder)
    assert [str(one) for one in complaints] == []
    assert len(topics) == 1
    return topics[0]


def test_a_topic_file_says_everything_that_its_front_matter_says(write):
    topic = only(write({"billing/refund.md": TOPIC}))

    assert (topic.id, topic.title, topic.level, topic.category) == (
        "refund-policy",
        "Refund policy",
        "draft",
        "billing",
    )
    assert topic.questions == ("How do I get my money back?", "Can I have a refund?")
    assert topic.audience == ("C123", "partner")
    assert topic.tags == ("money", "advanced")  # a field of the team's own is a tag
    assert topic.escalate_when == ("customer mentions a chargeback",)
    assert (topic.owner, topic.reviewed, topic.valid_from, topic.valid_to) == (
        "maria",
        "2026-10-01",
        "2026-01-01",
        "2026-12-31",
    )
    assert topic.body == "Customers can request a refund within 14 days."


def test_path_and_folder_are_the_defaults_of_id_and_category(write):
    topic = only(write({"billing/vat.de.md": "---\nquestion: Wo ist die Steuer?\n---\nAuf der Rechnung.\n"}))

    assert (topic.id, topic.category, topic.language) == ("billing/vat", "billing", "de")
    assert topic.questions == ("Wo ist die Steuer?",)


def test_the_plain_form_may_hold_several_topics(write):
    topics, complaints = read(write({"account.txt": PLAIN}))

    assert complaints == []
    assert [topic.title for topic in topics] == ["Change the mail address", "Reset a password"]
    reset = topics[1]
    assert reset.body == "Use the link on the sign-in page.\nIt works for one hour."
    assert reset.escalate_when == ("the mail never arrives", "the account is locked")
    assert topics[0].questions == ("How do I change my mail?",)


def test_questions_of_the_plain_form_are_asked_and_not_told(write):
    topic = only(
        write(
            {
                "a.txt": "Topic: Reset a password\nQuestion: I forgot it\nApproved answer: Use the link.\n"
                "Question: How do I get back in?\nEscalate when:\n- it is locked\n"
            }
        )
    )

    assert topic.questions == ("I forgot it", "How do I get back in?")
    assert topic.body == "Use the link."
    assert topic.escalate_when == ("it is locked",)


def test_markdown_without_front_matter_is_a_document_of_sections(write):
    text = "# Guide\nIntro.\n\n## Install\nRun it.\n```\n# not a heading\n```\n### On Linux\nUse apt.\n"

    topic = only(write({"guide.md": text}))

    assert (topic.kind, topic.title) == ("document", "Guide")
    assert [section.heading for section in topic.sections] == ["Guide", "Install", "Install › On Linux"]
    assert "# not a heading" in topic.sections[1].text


def test_rows_of_a_csv_with_one_answer_are_questions_of_one_topic(write):
    text = "question,answer,category\nWhere is it?,In the menu.,ui\nHow do I find it?,In the menu.,ui\nWhy?,Because.,ui\n"

    topics, complaints = read(write({"faq.csv": text}))

    assert complaints == []
    assert sorted(topic.questions for topic in topics) == [("Where is it?", "How do I find it?"), ("Why?",)]
    assert {topic.category for topic in topics} == {"ui"}


def test_html_shows_what_a_reader_sees(write):
    page = "<title>Help</title><nav>Menu</nav><h1>Start</h1><p>Press <b>go</b>.</p><script>evil()</script><h2>Stop</h2><p>Press stop.</p>"

    topic = only(write({"help.html": page}))

    assert [(section.heading, section.text) for section in topic.sections] == [
        ("Start", "Press go ."),
        ("Stop", "Press stop."),
    ]


def test_word_files_are_read_by_heading(write):
    file = docx.Document()
    file.add_heading("Handbook", 1)
    file.add_paragraph("Welcome.")
    file.add_heading("Holidays", 2)
    file.add_paragraph("Thirty days.")
    buffer = io.BytesIO()
    file.save(buffer)

    topic = only(write({"handbook.docx": buffer.getvalue()}))

    assert topic.title == "Handbook"
    assert [(section.heading, section.text) for section in topic.sections] == [
        ("Handbook", "Welcome."),
        ("Holidays", "Thirty days."),
    ]


def test_pdf_files_are_read_by_page(write):
    topic = only(write({"terms.pdf": pdf("Terms of service apply to everyone.")}))

    assert [(section.heading, section.text) for section in topic.sections] == [
        ("page 1", "Terms of service apply to everyone.")
    ]


def pdf(text: str) -> bytes:
    """The smallest honest PDF of one page."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n"
        + table
        + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    )


BAD = {
    "misspelt key": ("---\ntitle: A\nqestions: [a]\n---\nText\n", 3, "did you mean `questions`?"),
    "broken yaml": ("---\ntitle: A\nquestions: [a\n---\nText\n", 4, "broken front matter"),
    "not closed": ("---\ntitle: A\nText\n", 1, "no closing line"),
    "bad date": ("---\ntitle: A\nreviewed: last week\n---\nText\n", 3, "must be a date"),
    "impossible date": ("---\ntitle: A\nreviewed: 2026-13-01\n---\nText\n", 3, "must be a date"),
    "bad level": ("---\ntitle: A\nlevel: answr\n---\nText\n", 3, "did you mean `answer`?"),
    "bad language": ("---\ntitle: A\nlanguage: german\n---\nText\n", 3, "two letters like en or de"),
    "backward dates": (
        "---\nvalid_from: 2026-05-01\nvalid_to: 2026-04-01\n---\nText\n",
        3,
        "before valid_from",
    ),
    "no text": ("---\ntitle: A\n---\n\n", 4, "no approved text"),
    "nested": ("---\ntitle: {a: b}\n---\nText\n", 2, "must be one text"),
    "not utf-8": (b"---\ntitle: A\n---\nOne\nTwo \xff\n", 5, "not valid UTF-8"),
    "misspelt plain key": (
        "Topic: A\nApproved answer: Text\nEscalate if:\n- it is locked\n",
        3,
        "did you mean `escalate when`?",
    ),
    "nul": ("---\ntitle: A\n---\nOne\0\n", 4, "NUL"),
}


@pytest.mark.parametrize(("content", "line", "message"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_named_with_file_and_line(write, content, line, message):
    _, complaints = read(write({"a/bad.md": content, "good.md": "---\ntitle: Good\n---\nText\n"}))

    assert [(one.path, one.line) for one in complaints] == [("a/bad.md", line)]
    assert message in complaints[0].message


def test_a_level_for_people_needs_no_text(write):
    assert only(write({"a.md": "---\ntitle: A\nlevel: escalate\n---\n"})).body == ""


def test_all_complaints_come_at_once(write):
    folder = write({f"{number}.md": content for number, (content, _, _) in enumerate(BAD.values())})
    folder.joinpath("faq.csv").write_text("question,answr\na,b\n")

    _, complaints = read(folder)

    assert len({one.path for one in complaints}) == len(BAD) + 1


def test_duplicate_ids_name_both_places(write):
    _, complaints = read(
        write({"a.md": "---\nid: x\n---\nText\n", "b.md": "---\ntitle: B\nid: x\n---\nText\n"})
    )

    assert [str(one) for one in complaints] == ["b.md:2: duplicate id `x`, first used in a.md:2"]


def test_one_id_may_exist_once_per_language(write):
    _, complaints = read(write({"a.md": "---\nid: x\n---\nText\n", "a.de.md": "---\nid: x\n---\nText\n"}))

    assert complaints == []


def test_a_huge_file_is_refused_unread(write):
    folder = write({"good.md": "# A\nText"})
    with (folder / "huge.md").open("wb") as file:
        os.truncate(file.fileno(), 100_000_000)

    _, complaints = read(folder)

    assert [(one.path, "100.0 MB is over the limit" in one.message) for one in complaints] == [
        ("huge.md", True)
    ]


def test_a_link_out_of_the_folder_is_refused(write, tmp_path):
    (tmp_path / "secret.md").write_text("# Secret\nText")
    (tmp_path / "elsewhere").mkdir()
    folder = write({"good.md": "# A\nText"})
    (folder / "leak.md").symlink_to(tmp_path / "secret.md")
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (folder / "inside.md").symlink_to(folder / "good.md")

    topics, complaints = read(folder)

    assert sorted(one.path for one in complaints) == ["leak.md", "out"]
    assert [topic.id for topic in topics] == ["good", "inside"]


def test_a_folder_without_knowledge_is_a_complaint(write):
    _, complaints = read(write({"picture.png": b"\x89PNG"}))

    assert "no knowledge found" in complaints[0].message


@pytest.mark.parametrize("name", ["bad.pdf", "bad.docx"])
def test_a_broken_office_file_is_a_complaint(write, name):
    _, complaints = read(write({name: b"not what it says"}))

    assert [one.path for one in complaints] == [name]
