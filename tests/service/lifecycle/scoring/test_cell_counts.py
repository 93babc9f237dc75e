from collections import Counter
from pathlib import Path

import pytest

from service.lifecycle import batch, score
from service.lifecycle.data.form import Form
from service.lifecycle.data.source import SourceError
from service.lifecycle.runtime.runner import JobFailed
from service.lifecycle.scoring.batch_scoring import FileJob
from service.lifecycle.scoring.cell_counts import CellCounts, ColumnCounts, check_like_training
from service.model.bundle import Bundle
from service.reading.unlike import LEAST_CELLS
from service.storage import Folder
from tests.facts import states, stating


def counted(filled: int, unread: int = 0, unseen: int = 0) -> ColumnCounts:
    counts = CellCounts()
    counts.add(filled, unread, Counter({"new": unseen}) if unseen else None)
    return ColumnCounts({"industry": counts})


@pytest.mark.parametrize(
    ("filled", "unread", "unseen", "refused"),
    [
        (100, 0, 100, True),
        (100, 0, 95, True),
        (100, 50, 45, True),
        (100, 100, 0, True),
        (100, 0, 94, False),
        (LEAST_CELLS, 0, LEAST_CELLS, True),
        (LEAST_CELLS - 1, 0, LEAST_CELLS - 1, False),
        (0, 0, 0, False),
    ],
)
def test_a_column_of_which_training_knows_hardly_a_cell_is_refused(
    served: Bundle, filled: int, unread: int, unseen: int, refused: bool
) -> None:
    counts = counted(filled, unread, unseen)
    if refused:
        with pytest.raises(SourceError, match=stating("leads", "'industry'", filled, "--accept-unlike 'industry'")):
            check_like_training(counts, served, "leads", ())
    check_like_training(counts, served, "leads", () if not refused else {"industry"})


def test_a_column_that_was_full_of_rare_values_in_training_is_not_refused(served: Bundle) -> None:
    features = tuple(
        column.model_copy(update={"others": 60}) if column.name == "industry" else column
        for column in served.reference.features
    )
    reference = served.reference.model_copy(update={"features": features})
    check_like_training(counted(100, 0, 100), Bundle(served.manifest, served.engine, "", reference), "leads", ())


def leads(industry: str, visits: str = "3", count: int = 50) -> str:
    return "lead_id,visits,industry\n" + "".join(f"L{row},{visits},{industry}\n" for row in range(count))


def run(models: Folder, folder: Path, text: str, *options: str) -> int:
    (folder / "leads.csv").write_text(text)
    out = ["--out", str(folder / "scores.csv"), "--models", models.url]
    return score.main([str(folder / "leads.csv"), *out, *options])


def test_values_never_seen_are_counted_by_column_and_known_ones_in_any_spelling_are_not(
    models: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = leads("health") + "a,1,HEALTH \nb,1,mining\nc,1,mining\nd,1,unknown\ne,1,n/a\nf,1,\ng,x,fishing\n"
    assert run(models, tmp_path, text) == 0
    said = capsys.readouterr().out.splitlines()
    states(said, "'industry'", "3 of 54", "never seen", "mining", "fishing")
    states(said, "'visits'", "1 of 57", "could not be read")


def test_a_file_with_a_column_unlike_training_is_scored_when_that_is_accepted(
    models: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models, tmp_path, leads("Gesundheit")) == 1
    states(capsys.readouterr().err, "'industry'", "50 of 50", "'Gesundheit'", "--accept-unlike 'industry'")
    assert not (tmp_path / "scores.csv").exists()
    assert run(models, tmp_path, leads("Gesundheit"), "--accept-unlike", "industry") == 0
    assert run(models, tmp_path, leads("health", "viele")) == 1
    states(capsys.readouterr().err, "'visits'", "50 of 50")


def test_batch_refuses_such_a_file_and_one_of_which_no_row_can_be_scored(served: Bundle, tmp_path: Path) -> None:
    source, out, said = Folder(tmp_path / "in"), Folder(tmp_path / "out"), list[str]()
    source.create("unlike.csv", leads("Gesundheit").encode())
    source.create("none.csv", leads("health", "x", 3).encode())
    source.create("good.csv", (leads("health") + "a,1,mining\n").encode())
    job = FileJob(served, Form(), 1)
    with pytest.raises(JobFailed) as refused:
        batch.run(batch.BatchJob(job, source, out, say=said.append))
    states(str(refused.value).splitlines(), "unlike.csv", "'industry'", "--accept-unlike 'industry'")
    states(str(refused.value).splitlines(), "none.csv", "no row could be scored", "row 2, visits")
    states(said, "'industry'", "1 of 51", "never seen")
    # What the job prints is logged in the cloud.
    assert not [
        line for line in [*said, str(refused.value)] for cell in ("'x'", "mining", "Gesundheit") if cell in line
    ]
    assert [key.split(".")[0] for key in out.keys("") if not key.startswith("quarantine/")] == ["good"]
    accepted = FileJob(served, Form(), 1, accepted=frozenset({"industry"}))
    (tmp_path / "in/none.csv").unlink()
    batch.run(batch.BatchJob(accepted, source, out, say=said.append))
    assert sorted(key.split(".")[0] for key in out.keys("") if not key.startswith("quarantine/")) == ["good", "unlike"]
