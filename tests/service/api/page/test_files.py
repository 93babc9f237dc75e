from service.api.page.files import HEAD, layout


def test_a_long_file_whose_lines_end_with_a_carriage_return_alone_is_cut() -> None:
    head = b"name,visits\r" + b"Zo\xc3\xa9,1\r" * (HEAD // 7)
    found = layout(head[:HEAD])
    assert (found.header, found.delimiter, found.encoding_name) == (["name", "visits"], ",", "UTF-8")
