import base64
import re
import zlib
from dataclasses import replace

from service.lifecycle.reporting.pdf import pdf
from service.lifecycle.reporting.sheet import Section
from tests.service.lifecycle.reporting.test_sheet import report


def streams(data: bytes) -> list[bytes]:
    """The file's streams, which ReportLab compresses, and writes as letters where they are not a font's."""
    found = []
    for head, body in re.findall(rb"<<([^<>]*?/Filter[^<>]*)>>\s*stream\r?\n(.*?)endstream", data, re.DOTALL):
        raw = base64.a85decode(b"<~" + body.strip(), adobe=True) if b"ASCII85" in head else body
        found.append(zlib.decompressobj().decompress(raw))
    return found


def words(data: bytes) -> str:
    """The text of the page: ReportLab keeps the codes of ASCII letters."""
    lines = re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", b"\n".join(streams(data)))
    return " ".join(re.sub(rb"\\([()\\])", rb"\1", line).decode("latin-1") for line in lines)


def pages(data: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", data))


def test_the_report_is_one_page_of_a4_with_all_its_sentences_and_the_same_bytes_each_time() -> None:
    made = report()
    data = pdf(made)
    assert (pages(data), data) == (1, pdf(made))
    assert re.search(rb"/MediaBox \[ 0 0 595\.27\d* 841\.88\d* \]", data)
    said = re.sub(r"\s+", " ", words(data))
    for sentence in (made.headline, made.about, *(s for section in made.sections for s in section.sentences)):
        assert sentence in said
    assert "9,120" in said


def test_a_report_that_is_too_long_is_set_smaller_on_the_one_page() -> None:
    long = report()
    section = Section("More", tuple(f"Sentence {number}. " + "Word and word. " * 20 for number in range(40)))
    data = pdf(replace(long, sections=(*long.sections, section)))
    assert pages(data) == 1
    assert "Sentence 39." in words(data)


def test_names_of_any_letters_are_shown_and_none_is_markup() -> None:
    data = pdf(replace(report(), title="<b>A</b> & more", headline="Бюджет"))
    assert "<b>A</b>&more" in words(data).replace(" ", "")  # a mark is a piece of its own
    assert any(b"<0411>" in stream for stream in streams(data))  # the letter, for readers that search and copy
