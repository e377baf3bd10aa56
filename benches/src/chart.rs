//! Draws the comparison as an SVG chart of the speed ratio of the two engines.
//!
//! The chart has its own background, so that it is readable on light and on dark pages.

use crate::contender::Mode;
use crate::duel::Row;
use crate::report::{quantity, ratio};
use svg::Document;
use svg::node::element::{Group as Layer, Line, Rectangle, Text};

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 20.0;
/// X coordinate at which bars start, where both engines are equal.
const ORIGIN: f64 = 440.0;
/// Width of the bar for a ratio of ten.
const DECADE: f64 = 75.0;
/// X coordinate at which the figures end.
const FIGURES: f64 = 880.0;
const ROW: f64 = 18.0;
const HEADER: f64 = 78.0;

const TEXT: &str = "#1f2328";
const FAINT: &str = "#d1d9e0";
const FASTER: &str = "#2f6f4f";
const SLOWER: &str = "#b35900";

/// Draws the rows for which both engines have a result, in the default mode.
pub fn draw(left: &str, right: &str, rows: &[Row]) -> String {
    let rows: Vec<(&Row, f64)> = rows
        .iter()
        .filter(|row| row.mode == Mode::Free)
        .filter_map(|row| Some((row, row.ratio()?)))
        .collect();
    let breaks = rows
        .windows(2)
        .filter(|pair| pair[0].0.group != pair[1].0.group)
        .count()
        + 1;
    let bottom = HEADER + ROW * (rows.len() + 2 * breaks) as f64;
    let height = bottom + 2.0 * MARGIN;

    let mut layer = Layer::new()
        .set("font-family", "system-ui, sans-serif")
        .set("font-size", 12)
        .set("fill", TEXT)
        .add(
            text(&format!("{left} next to {right}"), MARGIN, 32.0)
                .set("font-size", 18)
                .set("font-weight", "bold"),
        )
        .add(text(
            &format!("How many times as fast, or as small: to the right is in favour of {left}"),
            MARGIN,
            52.0,
        ))
        .add(text(&format!("{left} : {right}"), FIGURES, HEADER - 6.0).set("text-anchor", "end"))
        .add(text("ratio", WIDTH - MARGIN, HEADER - 6.0).set("text-anchor", "end"));
    for (factor, label) in [
        (0.5, "½×"),
        (1.0, "1×"),
        (10.0, "10×"),
        (100.0, "100×"),
        (1000.0, "1000×"),
    ] {
        let x = ORIGIN + DECADE * f64::log10(factor);
        layer = layer
            .add(
                Line::new()
                    .set("x1", number(x))
                    .set("x2", number(x))
                    .set("y1", HEADER)
                    .set("y2", number(bottom))
                    .set("stroke", if factor == 1.0 { TEXT } else { FAINT }),
            )
            .add(text(label, x, HEADER - 6.0).set("text-anchor", "middle"));
    }
    let mut y = HEADER;
    let mut group = None;
    for (row, ratio) in rows {
        if group != Some(row.group) {
            group = Some(row.group);
            y += 2.0 * ROW;
            layer = layer.add(text(row.group.title(), MARGIN, y - 5.0).set("font-weight", "bold"));
        }
        layer = layer.add(bar(row, ratio, y));
        y += ROW;
    }
    let background = Rectangle::new()
        .set("width", WIDTH)
        .set("height", number(height))
        .set("rx", 8)
        .set("fill", "#ffffff")
        .set("stroke", FAINT);
    let document = Document::new()
        .set("viewBox", format!("0 0 {WIDTH} {}", number(height)))
        .set("width", WIDTH)
        .set("height", number(height))
        .add(background)
        .add(layer);
    format!("{document}\n")
}

/// Draws a row: its name, bar and figures.
fn bar(row: &Row, factor: f64, y: f64) -> Layer {
    let end = ORIGIN - DECADE * f64::log10(factor.clamp(0.0001, 10.0));
    let (from, to) = (ORIGIN.min(end), ORIGIN.max(end));
    let figure = |side: &anyhow::Result<crate::stats::Summary>| {
        side.as_ref().map_or_else(
            |_| String::new(),
            |summary| quantity(row.unit, summary.median),
        )
    };
    let figures = format!("{} : {}", figure(&row.left), figure(&row.right));
    Layer::new()
        .add(text(&row.name(), MARGIN, y + 13.0))
        .add(
            Rectangle::new()
                .set("x", number(from))
                .set("y", number(y + 3.0))
                .set("width", number((to - from).max(1.0)))
                .set("height", ROW - 6.0)
                .set("fill", if factor <= 1.0 { FASTER } else { SLOWER }),
        )
        .add(text(&figures, FIGURES, y + 13.0).set("text-anchor", "end"))
        .add(text(&ratio(factor), WIDTH - MARGIN, y + 13.0).set("text-anchor", "end"))
}

fn text(content: &str, x: f64, y: f64) -> Text {
    Text::new(content).set("x", number(x)).set("y", number(y))
}

/// Rounds a coordinate to a tenth, so that charts of similar results differ little.
fn number(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Group, Unit};
    use crate::stats::Summary;
    use anyhow::{Result, anyhow};

    fn row(subject: &str, mode: Mode, left: f64, right: Result<f64>) -> Row {
        let summary = |median| Summary::new(vec![median]).expect("there is a sample");
        Row {
            subject: subject.to_string(),
            group: Group::Calls,
            mode,
            unit: Unit::Seconds,
            left: Ok(summary(left)),
            right: right.map(summary),
        }
    }

    #[test]
    fn what_was_measured_is_drawn() {
        let rows = [
            row("list<u8> & more", Mode::Free, 1e-6, Ok(1e-5)),
            row("slow", Mode::Free, 2e-6, Ok(1e-6)),
            row("failed", Mode::Free, 1e-6, Err(anyhow!("no"))),
            row("fast", Mode::Interruptible, 1e-6, Ok(1e-6)),
        ];
        let picture = draw("A", "B", &rows);
        assert_eq!(
            picture,
            draw("A", "B", &rows),
            "the same results give the same picture"
        );
        assert!(picture.contains("list&lt;u8&gt; &amp; more"), "{picture}");
        assert!(picture.contains(">1.00 µs : 10.0 µs<"), "{picture}");
        for (what, count) in [(FASTER, 1), (SLOWER, 1), ("failed", 0), ("fast", 0)] {
            let found = picture.matches(&format!("\"{what}\"")).count()
                + picture.matches(&format!(">{what}<")).count();
            assert_eq!(found, count, "{what}: {picture}");
        }
    }
}
