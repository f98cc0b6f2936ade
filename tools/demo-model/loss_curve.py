"""Draws the losses of a training: loss_curve.py LOG OUT.svg

LOG is the log.jsonl that train.py writes; that of models/demo.gguf is models/training-log.jsonl.
"""

import json
import sys
from pathlib import Path

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 20, 46
LINES = [("loss", "training, since the line before", "#c9772e"), ("heldout", "held out", "#2e6fc9")]


def main(log: Path, out: Path) -> None:
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    values = [line[name] for line in lines for name, _, _ in LINES]
    low, high = int(min(values) * 5) / 5, max(values)
    most = lines[-1]["tokens"]

    def x(tokens: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * tokens / most

    def y(loss: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low)

    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#444c59">',
        "<title>Losses while the demo model was trained</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for step in range(int((high - low) * 5) + 1):
        loss = low + step / 5
        svg.append(f'<path d="M{LEFT} {y(loss):.1f}H{WIDTH - RIGHT}" stroke="#e3e6eb"/>')
        svg.append(f'<text x="{LEFT - 8}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:.1f}</text>')
    for millions in range(0, int(most / 1e6) + 1, 5):
        at = x(millions * 1e6)
        svg.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e3e6eb"/>')
        svg.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{millions}</text>')
    svg.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">million tokens</text>'
    )
    svg.append(f'<text transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">nats a token</text>')
    for index, (name, label, colour) in enumerate(LINES):
        points = " ".join(f"{x(line['tokens']):.1f},{y(line[name]):.1f}" for line in lines)
        svg.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        top = TOP + 16 + 20 * index
        svg.append(f'<path d="M{WIDTH - 236} {top - 4}h24" stroke="{colour}" stroke-width="2"/>')
        svg.append(f'<text x="{WIDTH - 206}" y="{top}">{label}</text>')
    out.write_text("\n".join([*svg, "</svg>", ""]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
