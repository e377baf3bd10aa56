"""Draws the figures of servers as an SVG chart, in the style of `results.svg`."""

from html import escape

WIDTH, MARGIN, HEADER, ROW = 960, 20, 70, 18
# X coordinates at which bars start, and at which the longest one of a group ends.
START, END = 180, 800
TEXT, FAINT = "#1f2328", "#d1d9e0"
COLOURS = {"mintage": "#2f6f4f", "mintage-warm": "#2f6f4f"}
OTHER = "#8c959f"


def text(content, x, y, **attributes):
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(content)}</text>'


def rectangle(x, y, width, height, fill, more=""):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{fill}"{more}/>')


def draw(title, subtitle, groups):
    """Draws groups of bars: a heading, and for each bar its name, its length and its figure."""
    parts = [text(title, MARGIN, 32, font_size=18, font_weight="bold"),
             text(subtitle, MARGIN, 52)]
    y = HEADER
    for heading, bars in groups:
        y += 1.5 * ROW
        parts.append(text(heading, MARGIN, y - 5, font_weight="bold"))
        longest = max(length for _, length, _ in bars)
        for name, length, figure in bars:
            width = max((END - START) * length / longest, 1)
            parts.append(text(name, MARGIN, y + 13))
            parts.append(rectangle(START, y + 3, width, ROW - 6, COLOURS.get(name, OTHER)))
            parts.append(text(figure, START + width + 8, y + 13))
            y += ROW
    height = y + MARGIN
    frame = rectangle(0, 0, WIDTH, height, "#ffffff", f' rx="8" stroke="{FAINT}"')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.1f}" '
        f'width="{WIDTH}" height="{height:.1f}">',
        frame,
        f'<g fill="{TEXT}" font-family="system-ui, sans-serif" font-size="12">',
        *parts, "</g>", "</svg>", "",
    ])
