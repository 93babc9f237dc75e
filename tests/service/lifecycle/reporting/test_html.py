import re
from dataclasses import replace

from service.lifecycle.reporting.html import html
from tests.service.lifecycle.reporting.test_sheet import report


def test_the_page_needs_no_network_and_holds_all_that_the_report_says() -> None:
    found = html(replace(report(), headline="3 < 4 & more"))
    assert "3 &lt; 4 &amp; more" in found
    assert "<td>9,120</td>" in found
    assert "default-src 'none'" in found
    assert not re.search(r"(?:src|href)=", found)
