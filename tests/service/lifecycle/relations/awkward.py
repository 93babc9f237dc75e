"""Cells of several choices as people and programs write them."""

from hypothesis import strategies as st

EXAMPLES = (
    *("Webinar;Newsletter", "newsletter ; Webinar", " Webinar;;Webinar;", "Webinar", "Webinar|Call", ";", " ; ", ""),
    *("nothing", "Webinar;nothing", "Web\t inar", "Web\x1cinar;Web inar", "\u200bWebinar\u037eCall", "Call\0;\0"),
    *(
        "\u00c4rzte;A\u0308rzte",
        "A\u200b\u0308rzte",
        "it's \\ `a`;\u3000b\x85",
        "\ue000;\U0001f600",
        "\u0301;a",
        ";\ufeff",
    ),
)
"""Among them ones that only differ in blanks, in order or in how a character is composed, and ones without a choice."""

CELLS = st.sampled_from(EXAMPLES) | st.text("aA;| \0\u0301\u037e\u200b\u3000", max_size=6)
