"""Names and figures as people read them."""


def spoken(name: str) -> str:
    """A candidate's name as words, which also wrap in a narrow table."""
    return name.replace("_", " ")


def number(figure: str, value: float) -> str:
    """A figure as text, with the digits that mean something."""
    return (
        f"{value:,.0f}" if figure in ("profit", "contacts") else f"{value:.2f}" if figure == "lift" else f"{value:.4f}"
    )
