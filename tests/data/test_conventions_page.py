"""What docs/conventions.md says of sources is what their files say."""

from __future__ import annotations

from pathlib import Path

from adasgn_edge.data.axes import axes_text, units_text
from adasgn_edge.data.sources import Source, builtin_sources, load_source
from adasgn_edge.skeletons import builtin_layouts, load_layout

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conventions.md"


def row(source: Source) -> str:
    """A source's line of the table."""
    onto = ", ".join(f"`{layout}`" for layout in builtin_layouts() if source.fits(load_layout(layout)))
    said = ["`--mirrored` or not"] if source.camera else []
    said += ["`--side`"] if source.hand else []
    if source.dimensions == 2:
        comes, said = "places in a picture", ["`--axes optical --units m`, once lifted", *said]
    elif source.axes is None:
        comes, said = units_text(source.units or 1), ["`--axes`", *said]
    else:
        comes = f"{axes_text(source.axes)}, {units_text(source.units or 1)}"
    return f"| `{source.name}` | {len(source.joints)} | {onto} | {comes} | {', '.join(said)} |"


def test_the_table_of_sources() -> None:
    text = PAGE.read_text(encoding="utf-8")
    expected = [row(load_source(name)) for name in builtin_sources()]
    assert "\n".join(expected) in text
