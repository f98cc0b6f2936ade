//! The drawing, the same on every kind of canvas.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{TextStyle, register_font};

use super::labels::{self, Rect};
use crate::error::{Error, Result};
use crate::eval::FormatComparison;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
const PALE: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const POINT: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const BASE: RGBColor = RGBColor(0xb0, 0x3a, 0x2e);

const MARGIN: i32 = 16;
const TITLE: i32 = 25;
const TEXT: i32 = 17;
const RADIUS: i32 = 5;
/// Ticks wished for along an axis.
const TICKS: usize = 8;

/// Viewers of an SVG take their own font of this kind; sizes are estimated with DejaVu Sans, which is a wide one, and
/// bitmaps are drawn in it.
const FONT: &str = "sans-serif";

type Area<B> = DrawingArea<B, Shift>;
type Drawn<B, T = ()> = std::result::Result<T, DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// What is drawn on: its pixels, and how many of them a pixel of the design takes.
pub(super) struct Canvas {
    pub size: (u32, u32),
    pub unit: i32,
    /// How much too high letters are drawn for their boxes, in pixels of the design.
    pub drop: i32,
}

impl Canvas {
    fn px(&self, length: i32) -> i32 {
        length * self.unit
    }

    fn text(&self, size: i32, color: RGBColor) -> TextStyle<'static> {
        TextStyle { color: color.to_backend_color(), ..TextStyle::from((FONT, self.px(size)).into_font()) }
    }

    fn line(&self, color: RGBColor, width: i32) -> ShapeStyle {
        ShapeStyle::from(&color).stroke_width(self.px(width) as u32)
    }
}

/// What the plot shows.
struct Data<'a> {
    title: String,
    subtitle: String,
    /// Name, size and perplexity of each format.
    formats: Vec<(&'a str, f64, f64)>,
    /// Perplexity and name of the unquantized model.
    base: (f64, String),
    unit: &'static str,
    /// Bits per weight of a model of size 1.
    bits: f64,
}

impl<'a> Data<'a> {
    fn new(comparison: &'a FormatComparison, text: &str) -> Self {
        let base = &comparison.unquantized;
        let largest = comparison.formats.iter().map(|row| row.bytes).max().unwrap_or(0);
        let (unit, bytes) = match largest {
            0..0x10_0000 => ("KiB", f64::from(1 << 10)),
            0x10_0000..0x1_0000_0000 => ("MiB", f64::from(1 << 20)),
            _ => ("GiB", f64::from(1 << 30)),
        };
        let size = |own: usize| own as f64 / bytes;
        let points = comparison.formats.iter().map(|row| {
            let name = row.format.as_deref().unwrap_or_default();
            (name, size(row.bytes), row.perplexity.perplexity)
        });
        let perplexity = base.perplexity.perplexity;
        let predictions = base.perplexity.predictions;
        Self {
            title: format!("{}: perplexity by format", comparison.model),
            subtitle: format!("{predictions} tokens of {text}; lower is better"),
            formats: points.collect(),
            base: (perplexity, format!("{} ({:.1} {unit}): {perplexity:.3}", comparison.base_name(), size(base.bytes))),
            unit,
            bits: base.bits_per_weight / size(base.bytes),
        }
    }

    /// Sizes and perplexities to show.
    fn ranges(&self) -> Option<[Range<f64>; 2]> {
        let sizes = self.formats.iter().map(|format| format.1);
        let perplexities = self.formats.iter().map(|format| format.2).chain([self.base.0]);
        Some([padded(sizes)?, padded(perplexities)?])
    }
}

/// From the least to the greatest, and some room; `None` if one is not finite.
fn padded(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    const ROOM: f64 = 0.12;
    // What differs by less is the same to the eye, and to a tick's label.
    const LEAST: f64 = 1e-2;
    let mut values = values.peekable();
    values.peek()?;
    let (least, greatest) = values.try_fold((f64::MAX, f64::MIN), |(least, greatest), value| {
        value.is_finite().then(|| (least.min(value), greatest.max(value)))
    })?;
    let room = ((greatest - least) * ROOM).max(greatest.abs() * LEAST).max(f64::MIN_POSITIVE);
    Some(least - room..greatest + room)
}

/// Writes an axis's numbers with the digits that tell its ticks apart.
fn tick(range: &Range<f64>) -> impl Fn(&f64) -> String + use<> {
    let step = (range.end - range.start) / TICKS as f64;
    let decimals = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
    move |value| format!("{value:.decimals$}")
}

pub(super) fn draw<B: DrawingBackend>(
    backend: B,
    canvas: &Canvas,
    comparison: &FormatComparison,
    text: &str,
) -> Result<()> {
    let fail = |cause: &dyn std::fmt::Display| Error::unsupported("the plot", cause);
    // Registering it again changes nothing.
    register_font(FONT, FontStyle::Normal, dejavu::sans_mono::regular())
        .map_err(|_| fail(&"its font cannot be read"))?;
    let data = Data::new(comparison, text);
    let ranges = data.ranges().ok_or_else(|| fail(&"a perplexity is too large to be drawn"))?;
    chart(&backend.into_drawing_area(), canvas, &data, ranges).map_err(|e| fail(&e))
}

fn chart<B: DrawingBackend>(root: &Area<B>, canvas: &Canvas, data: &Data<'_>, ranges: [Range<f64>; 2]) -> Drawn<B> {
    root.fill(&WHITE)?;
    titles(root, canvas, data)?;
    let [sizes, perplexities] = ranges;
    let bits = sizes.start * data.bits..sizes.end * data.bits;
    let (ticks, text) = (canvas.line(GREY, 1), canvas.text(TEXT, INK));
    let mut chart = ChartBuilder::on(root)
        .margin(canvas.px(MARGIN))
        .margin_top(canvas.px(MARGIN + TITLE + TEXT + 20))
        .margin_right(canvas.px(2 * MARGIN))
        .x_label_area_size(canvas.px(52))
        .top_x_label_area_size(canvas.px(52))
        .y_label_area_size(canvas.px(80))
        .build_cartesian_2d(sizes.clone(), perplexities.clone())?
        .set_secondary_coord(bits.clone(), perplexities.clone());
    chart
        .configure_mesh()
        .x_labels(TICKS)
        .y_labels(TICKS)
        .max_light_lines(0)
        .bold_line_style(canvas.line(PALE, 1))
        .axis_style(ticks)
        .set_all_tick_mark_size(canvas.px(5))
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .x_label_formatter(&tick(&sizes))
        .y_label_formatter(&tick(&perplexities))
        .y_label_offset(canvas.px(canvas.drop))
        .x_desc(format!("weights in memory, {}", data.unit))
        .y_desc("perplexity")
        .draw()?;
    chart
        .configure_secondary_axes()
        .x_labels(TICKS)
        .axis_style(ticks)
        .set_all_tick_mark_size(canvas.px(5))
        .label_style(text.clone())
        .axis_desc_style(text)
        .x_label_formatter(&tick(&bits))
        .x_desc("bits per weight")
        .draw()?;

    let (columns, rows) = chart.plotting_area().get_pixel_range();
    let frame = Rect { left: columns.start, top: rows.start, right: columns.end, bottom: rows.end };
    let at = |size: f64, perplexity: f64| chart.backend_coord(&(size, perplexity));
    let points: Vec<_> = data.formats.iter().map(|format| at(format.1, format.2)).collect();
    let base = base_line(root, canvas, data, frame, at(sizes.start, data.base.0).1, &points)?;
    formats(root, canvas, data, frame, &points, &base)?;
    root.present()
}

fn titles<B: DrawingBackend>(root: &Area<B>, canvas: &Canvas, data: &Data<'_>) -> Drawn<B> {
    let room = canvas.size.0 - 2 * canvas.px(MARGIN) as u32;
    let title = (&data.title, canvas.text(TITLE, INK), MARGIN);
    let subtitle = (&data.subtitle, canvas.text(TEXT, GREY), MARGIN + TITLE + 6);
    for (text, style, top) in [title, subtitle] {
        let fits = |text: &str| root.estimate_text_size(text, &style).is_ok_and(|size| size.0 <= room);
        root.draw(&Text::new(shortened(text, fits), (canvas.px(MARGIN), canvas.px(top)), style.clone()))?;
    }
    Ok(())
}

/// The beginning of a text that fits, and an ellipsis. Names of files may be long, and hold what XML may not.
fn shortened(text: &str, fits: impl Fn(&str) -> bool) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if fits(&clean) {
        return clean;
    }
    let ends = clean.char_indices().rev().map(|(end, _)| format!("{}…", &clean[..end]));
    ends.into_iter().find(|text| fits(text)).unwrap_or_default()
}

/// The unquantized model as a dashed line with its name; gives what labels should not hide.
fn base_line<B: DrawingBackend>(
    root: &Area<B>,
    canvas: &Canvas,
    data: &Data<'_>,
    frame: Rect,
    level: i32,
    points: &[(i32, i32)],
) -> Drawn<B, [Rect; 2]> {
    let (dash, gap) = (canvas.px(9), canvas.px(6));
    for left in (frame.left..frame.right).step_by((dash + gap) as usize) {
        let ends = [(left, level), ((left + dash).min(frame.right), level)];
        root.draw(&PathElement::new(ends, canvas.line(BASE, 2)))?;
    }
    let style = canvas.text(TEXT, BASE);
    let (width, height) = root.estimate_text_size(&data.base.1, &style)?;
    let (width, height) = (width as i32, height as i32);
    let (edge, gap) = (canvas.px(8), canvas.px(5));
    // Formats lie above the line nearly always, and the larger ones to the right lie close to it.
    let columns = [frame.left + edge, (frame.left + frame.right - width) / 2, frame.right - width - edge];
    let spots = [level + gap, level - gap - height].into_iter().flat_map(|top| columns.map(|left| (left, top)));
    let rects = spots.map(|(left, top)| Rect { left, top, right: left + width, bottom: top + height });
    let line = Rect { left: frame.left, top: level - canvas.px(2), right: frame.right, bottom: level + canvas.px(2) };
    let name = labels::least_hidden(rects, points, canvas.px(RADIUS)).unwrap_or(line);
    root.draw(&Text::new(data.base.1.clone(), (name.left, name.top + canvas.px(canvas.drop)), style))?;
    Ok([line, name])
}

/// A point with its name for each format.
fn formats<B: DrawingBackend>(
    root: &Area<B>,
    canvas: &Canvas,
    data: &Data<'_>,
    frame: Rect,
    points: &[(i32, i32)],
    obstacles: &[Rect],
) -> Drawn<B> {
    let style = canvas.text(TEXT, INK);
    let extent =
        |name: &str| root.estimate_text_size(name, &style).map(|(width, height)| (width as i32, height as i32));
    let sizes: Vec<_> = data.formats.iter().map(|format| extent(format.0)).collect::<std::result::Result<_, _>>()?;
    let places = labels::place(frame, points, &sizes, obstacles, canvas.px(RADIUS));
    for (place, &point) in places.iter().zip(points).filter(|(place, _)| place.is_far()) {
        root.draw(&PathElement::new([point, place.rect.nearest(point)], canvas.line(GREY, 1)))?;
    }
    for ((place, &point), format) in places.iter().zip(points).zip(&data.formats) {
        root.draw(&Circle::new(point, canvas.px(RADIUS), POINT.filled()))?;
        root.draw(&Text::new(
            format.0.to_string(),
            (place.rect.left, place.rect.top + canvas.px(canvas.drop)),
            style.clone(),
        ))?;
    }
    Ok(())
}
