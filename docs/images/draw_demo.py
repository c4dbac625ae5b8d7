"""Draws demo.gif, the picture of the README: `adasgn-edge demo` as a terminal of 96 x 42 characters shows it, in real
time; and of a moment of it stream.png.

    python docs/images/draw_demo.py [FOLDER]

Needs Pillow and Matplotlib, whose font it takes; braille and blocks are drawn dot by dot.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.terminal_theme import TerminalTheme

from adasgn_edge.cli.demo_stream import RATE, Score, note_of
from adasgn_edge.cli.session import Session
from adasgn_edge.cli.stream_view import StreamScreen
from adasgn_edge.data.stream_frames import StreamFrame
from adasgn_edge.deploy.model_file import shipped_model
from adasgn_edge.hands import perform
from adasgn_edge.recogniser import Recogniser

COLUMNS, ROWS = 96, 42  # all 24 classes
CELL = (7, 15)  # pixels of a character
SHOWN = 3  # every so many frames is a picture
FIRST = 1.0  # seconds until the first one
COLOURS = 15  # and one for transparency
GESTURES = (("Swipe Right", False), ("Grab", False), ("Rotation Clockwise", False), ("Swipe V", True))
HUES = [(209, 56, 61), (47, 179, 108), (240, 162, 2), (59, 111, 212), (160, 90, 200), (63, 167, 214)]
DARK, LIGHT = (16, 20, 26), (205, 211, 218)
THEME = TerminalTheme(DARK, LIGHT, [DARK, *HUES, LIGHT], [(98, 108, 120), *HUES, (240, 244, 248)])
BACKGROUND = THEME.background_color
BRAILLE = (
    (0x01, 0, 0),
    (0x02, 0, 1),
    (0x04, 0, 2),
    (0x08, 1, 0),
    (0x10, 1, 1),
    (0x20, 1, 2),
    (0x40, 0, 3),
    (0x80, 1, 3),
)
"""Bit of each dot, its column and row."""


def font(bold: bool) -> ImageFont.FreeTypeFont:
    weight = "bold" if bold else "normal"
    return ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans Mono", weight=weight)), 11.6)


FONTS = {bold: font(bold) for bold in (False, True)}


def rgb(colour: Color | None, foreground: bool) -> tuple[int, int, int]:
    return tuple((colour or Color.default()).get_truecolor(THEME, foreground))


def draw_character(
    draw: ImageDraw.ImageDraw, column: int, row: int, character: str, ink: tuple[int, ...], bold: bool
) -> None:
    width, height = CELL
    x, y, code = column * width, row * height, ord(character)
    if 0x2800 <= code < 0x2900:
        for bit, across, down in BRAILLE:
            if (code - 0x2800) & bit:
                left, top = x + 0.5 + across * width / 2, y + 0.8 + down * height / 4
                draw.ellipse((left, top, left + 2.4, top + 2.4), fill=ink)
    elif 0x2588 <= code <= 0x258F:  # █ ▉ … ▏
        draw.rectangle((x, y + 2, x + max(width * (0x2590 - code) / 8 - 1, 0), y + height - 3), fill=ink)
    elif not character.isspace():
        draw.text((x, y), character, fill=ink, font=FONTS[bold])


def picture(lines: list[list[Segment]]) -> Image.Image:
    """A terminal full of rendered lines."""
    image = Image.new("RGB", (COLUMNS * CELL[0] + 8, ROWS * CELL[1] + 8), BACKGROUND)
    cells = Image.new("RGB", (COLUMNS * CELL[0], ROWS * CELL[1]), BACKGROUND)
    draw = ImageDraw.Draw(cells)
    for row, line in enumerate(lines):
        column = 0
        for text, style, _ in line:
            ink = rgb(style.color if style else None, True)
            if style is not None and style.bgcolor is not None and not style.bgcolor.is_default:
                box = (column * CELL[0], row * CELL[1] + 1, (column + len(text)) * CELL[0] - 1, (row + 1) * CELL[1] - 2)
                draw.rectangle(box, fill=rgb(style.bgcolor, False))
            for character in text:
                draw_character(draw, column, row, character, ink, bool(style and style.bold))
                column += 1
    image.paste(cells, (4, 4))
    return image


def save(path: Path, pictures: list[Image.Image], durations: list[int]) -> None:
    """As a GIF of few colours, in which what stays the same from picture to picture is transparent."""
    some = Image.fromarray(np.concatenate([np.asarray(one) for one in pictures[::8]]))
    palette = some.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    colours = [*palette.getpalette()[: 3 * COLOURS], 0, 0, 0]
    last, changes = None, []
    for one in pictures:
        flat = np.asarray(one.quantize(palette=palette, dither=Image.Dither.NONE))
        change = Image.fromarray(flat if last is None else np.where(flat == last, COLOURS, flat).astype(np.uint8))
        change.putpalette(colours)
        change.info["transparency"] = COLOURS
        changes.append(change)
        last = flat
    changes[0].save(
        path, save_all=True, append_images=changes[1:], duration=durations, loop=0, disposal=1, optimize=False
    )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    session = Session(Recogniser(shipped_model("hands")))
    score = Score(perform(GESTURES, seed=2, rate=RATE), session.recogniser.labels)
    screen = StreamScreen(session, f"a kinematic hand at {RATE:.0f} frames a second")
    console = Console(width=COLUMNS, height=ROWS, force_terminal=True, color_system="truecolor")
    shown: list[list[list[Segment]]] = []
    began, still = time.perf_counter(), 0
    for number, joints in enumerate(score.performance.positions):
        time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        frame = StreamFrame(round(1e9 * number / RATE), {"hand": joints})
        output = session.push(frame)
        score.hear(output)
        screen.note = note_of(score, number)
        screen.take(frame, output)
        if number % SHOWN == 0 and number >= FIRST * RATE:
            shown.append(console.render_lines(screen.draw(), console.options.update(height=ROWS)))
            if any(result.gesture and result.confidence > 0.9 and result.label >= 0 for result in output.results):
                still = len(shown) - 1
    pictures = [picture(lines) for lines in shown]
    pictures[still].save(folder / "stream.png", optimize=True)
    path = folder / "demo.gif"
    save(path, pictures, [int(1000 * SHOWN / RATE)] * len(pictures))
    print(f"{path}: {len(pictures)} pictures, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
