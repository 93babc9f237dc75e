from io import StringIO

from rich.console import Console

from service.lifecycle.evaluation.terminal import terminal_table


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    file = StringIO()
    rows = [["a", "1", "so"], ["feature", "22.5", "for want of leads"]]
    Console(file=file, width=80).print(
        terminal_table(["column", "value", "why"], rows, title="Some", text=["why"], padding=1)
    )
    shown = [line.rstrip() for line in file.getvalue().splitlines()]
    assert shown[0] == "Some"
    assert shown[-3:] == [" a            1  so", " feature   22.5  for want of leads", ""]
