"""What a replay found: a table for the terminal, pictures, one self-contained HTML page, and the figures as JSON."""

import json
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from service.lifecycle.backtest.bars import Limit
from service.lifecycle.backtest.measures import Measured
from service.lifecycle.backtest.world import History
from service.lifecycle.evaluation.page import images, page, plot_style, png, table
from service.lifecycle.evaluation.plots import BLUE, GREY, RED, labelled_axes

SPOKEN = {
    "closed": "closed loop",
    "trigger": "on the trigger",
    "always": "at every block",
    "never": "never retrained",
    "oracle": "oracle",
    "random": "call at random",
}
MEANT = (
    "The closed loop evaluates, looks for drift, and retrains with its gate when calibration has failed. On the "
    "trigger a model is replaced ungated whenever the mean score of the last block with final outcomes is off by more "
    "than three standard errors, at every block always. The oracle is trained on each block itself: its figures are "
    "of leads that it has seen, and no model that has yet to see them reaches them."
)
COLOURS = {"closed": BLUE, "trigger": "#c77700", "always": "#3f7d3f", "never": RED, "oracle": GREY}
SHOWN = ("brier", "calibration_error", "roc_auc", "profit")
DECISION_TEXT = ("drift", "decision")
HEADINGS = {"brier": "Brier", "calibration_error": "cal. error", "roc_auc": "ROC-AUC", "profit": "profit"}
AXES = HEADINGS | {
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "profit": "Profit per 1,000 leads",
}


@dataclass(frozen=True)
class LimitResult:
    """A bar, the figure that was found and what it was held against."""

    bar: Limit
    value: float
    limit: float
    met: bool


@dataclass(frozen=True)
class Backtest:
    """All that a replay found. `random` is the profit per 1,000 leads of calling at random."""

    world: History
    measured: dict[str, Measured]
    random: float
    judgements: tuple[LimitResult, ...]

    @property
    def notes(self) -> list[str]:
        """What a reader should know beside the figures."""
        world, closed = self.world, self.measured["closed"]
        economics = world.source.economics
        size = world.blocks[0].stop - world.blocks[0].start
        return [
            f"The first model learned from the {world.blocks[0].start:,} leads before the first block, all of whose "
            f"outcomes were known. The {len(world.blocks)} blocks hold {size:,} leads each, the last one what is left; "
            "a block is scored with the outcomes of blocks up to the last but one before it.",
            f"An outcome is final {world.source.maturity_days:g} days after the lead was scored, so that long a block "
            "lasts. Half of a block's outcomes come early, and count only once they are final.",
            "Profit is of the decisions as they were served: to contact those whose score is at least a contact's cost "
            f"over a conversion's worth, {economics.threshold:.4f}. The team takes the best scores first, as many of a "
            "block as it can.",
            f"Calling at random, as many leads as the team can, would earn {self.random:,.0f} per 1,000 leads.",
            MEANT,
            "Drift is of the block before, against what the model served was judged on. It does not retrain by itself "
            "here: nearly every block differs, and what repairs the scores are outcomes.",
            _cost(self.measured),
            *([] if closed.gains else ["The closed loop promoted no model."]),
        ]

    def write(self, folder: Path) -> None:
        """Write pictures, page and figures into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in SHOWN:
            (folder / f"{name}.png").write_bytes(png(by_block(self, name)))
        (folder / "replay.json").write_text(json.dumps(self.document(), indent=1) + "\n", encoding="utf-8")
        (folder / "replay.html").write_text(html(self), encoding="utf-8")

    def document(self) -> dict[str, object]:
        """The figures as JSON knows them."""
        return {
            "source": self.world.source.name,
            "blocks": [[block.start, block.stop] for block in self.world.blocks],
            "strategies": {name: asdict(each) | {"fits": each.named["fits"]} for name, each in self.measured.items()},
            "random": {"profit": self.random},
            "bars": [{"bar": str(j.bar), "value": j.value, "limit": j.limit, "met": j.met} for j in self.judgements],
            "notes": self.notes,
        }


def overview(replay: Backtest) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a strategy a row, its figures over all blocks."""
    header = ["strategy", *HEADINGS.values(), "contacts", "fits"]
    rows = []
    for name, each in replay.measured.items():
        figures = each.named
        shown = [_number(figures, figure) for figure in SHOWN]
        rows.append([SPOKEN[name], *shown, f"{figures['contacts']:.0f}", f"{figures['fits']:.0f}"])
    return header, [*rows, [SPOKEN["random"], "", "", "", f"{replay.random:,.0f}", "", ""]]


def blocks(replay: Backtest) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a block a row, the closed loop's figures, and then the others' Brier scores."""
    others = [name for name in replay.measured if name != "closed"]
    rows = []
    for number, own in enumerate(replay.measured["closed"].blocks):
        shown = [_number(asdict(own), figure) for figure in SHOWN]
        briers = [f"{replay.measured[name].blocks[number].brier:.3f}" for name in others]
        rows.append([str(number), f"{own.converted:.3f}", f"{own.mean_score:.3f}", *shown, *briers])
    return ["block", "rate", "score", *HEADINGS.values(), *others], rows


def decisions(measured: Measured) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a decision a row, what it gained in Brier score and profit while it was served, and why."""
    gains = {gain.block: gain for gain in measured.gains}
    rows = []
    for event in measured.events:
        gain = gains.get(event.block) if event.action in ("promoted", "replaced") else None
        gained = [f"{gain.brier:+.4f}", f"{gain.profit:+,.0f}"] if gain else ["", ""]
        flagged = "flagged" if event.drift else ""
        rows.append([str(event.block), flagged, event.action, str(event.fits), *gained, event.reason])
    return ["block", "drift", "decision", "fits", "Brier", "profit", "why"], rows


def bars(replay: Backtest) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a bar a row."""
    return ["bar", "found", "limit", ""], [
        [str(j.bar), f"{j.value:.4g}", f"{j.limit:.4g}", "met" if j.met else "MISSED"] for j in replay.judgements
    ]


def html(replay: Backtest) -> str:
    """The whole report as one HTML page that needs no network."""
    closed = replay.measured["closed"]
    with plot_style():
        drawn = images({f"{AXES[name]} by block": by_block(replay, name) for name in SHOWN})
    return page(
        f"Replay of {replay.world.source.name}",
        [
            f"<p>{len(replay.world.blocks)} blocks of real history through the closed loop, beside what else could be "
            "done.</p>",
            table(*overview(replay)),
            f"<h2>Bars</h2>{table(*bars(replay), text=[''], bad='MISSED')}" if replay.judgements else "",
            f"<h2>Block by block</h2>{drawn}",
            "<p class=about>The share that converted, the mean score, the closed loop's figures, and then the others' "
            "Brier scores.</p>",
            table(*blocks(replay)),
            "<h2>What the closed loop decided</h2>",
            "<p class=about>Brier and profit: what the new model gained, against the one that it replaced, on the "
            "leads that it served.</p>",
            table(*decisions(closed), text=DECISION_TEXT, long=["why"]),
            "<h2>What ungated replacing on the trigger did</h2>",
            table(*decisions(replay.measured["trigger"]), text=DECISION_TEXT, long=["why"]),
            "<h2>Notes</h2>",
            *(f"<p>{escape(note)}</p>" for note in replay.notes),
        ],
    )


def by_block(replay: Backtest, name: str) -> Figure:
    """One figure of every strategy by block; the closed loop's promotions and refusals are marked."""
    figure, axes = labelled_axes("Block", AXES[name])
    for strategy, each in replay.measured.items():
        values = [getattr(block, name) for block in each.blocks]
        bold = strategy == "closed"
        axes.plot(
            values, color=COLOURS[strategy], linewidth=2.4 if bold else 1.2, label=SPOKEN[strategy], zorder=2 + bold
        )
        if bold:
            for action, marker in (("promoted", "^"), ("refused", "x")):
                at = [event.block for event in each.events if event.action == action]
                axes.plot(
                    at, [values[i] for i in at], marker, color=COLOURS["closed"], markersize=8, label=action, zorder=4
                )
    if name == "profit":
        axes.axhline(replay.random, color=GREY, linewidth=0.8, linestyle=":", label="call at random, all blocks")
    axes.set_xticks(range(len(replay.world.blocks)))
    axes.legend(fontsize=7, loc="upper left")
    return figure


def _cost(measured: dict[str, Measured]) -> str:
    cost = measured["closed"].overall.brier - measured["trigger"].overall.brier
    replaced = {event.block for event in measured["trigger"].events if event.action == "replaced"}
    held = [e for e in measured["closed"].events if e.block in replaced and e.action != "promoted"]
    said = "; ".join(f"block {event.block}, {event.action}: {event.reason}" for event in held)
    return f"The gate costs {cost:+.4f} Brier against replacing on the trigger." + (
        f" It kept the model where the other was replaced at {said}." if held else ""
    )


def _number(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:,.0f}" if name == "profit" else f"{figures[name]:.4f}"
