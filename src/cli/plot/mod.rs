//! `--plot`: perplexity against size, a point for each format.

mod chart;
mod labels;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use plotters::backend::{BitMapBackend, SVGBackend};

use crate::error::{Error, Result};
use crate::eval::FormatComparison;
use crate::whole_file;

use chart::Canvas;

/// Where a plot goes, and as what.
#[derive(Clone, Debug)]
pub(super) struct PlotFile {
    path: PathBuf,
    picture: Picture,
}

#[derive(Clone, Copy, Debug)]
enum Picture {
    Svg,
    Png,
}

impl FromStr for PlotFile {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        let extension = Path::new(path).extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let picture = match extension.as_str() {
            "svg" => Picture::Svg,
            "png" => Picture::Png,
            _ => return Err("plots are .svg or .png files".to_string()),
        };
        Ok(Self { path: path.into(), picture })
    }
}

impl PlotFile {
    /// Fails where writing would for want of a folder: measuring may take hours.
    pub fn check_folder(&self) -> Result<()> {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(Error::no_folder(&self.path)),
            _ => Ok(()),
        }
    }

    /// Draws the comparison over the text of this name.
    pub fn write(&self, comparison: &FormatComparison, text: &str) -> Result<()> {
        let bytes = match self.picture {
            Picture::Svg => svg(comparison, text)?.into_bytes(),
            Picture::Png => png(comparison, text)?,
        };
        whole_file::write(&self.path, &bytes)
    }
}

/// Pixels of an SVG, which viewers scale.
const SIZE: (u32, u32) = (960, 600);

fn svg(comparison: &FormatComparison, text: &str) -> Result<String> {
    let mut out = String::new();
    chart::draw(SVGBackend::with_string(&mut out, SIZE), &Canvas { size: SIZE, unit: 1, drop: 0 }, comparison, text)?;
    Ok(out)
}

/// Twice the pixels of the SVG, each the mean of four that were drawn: plotters does not smooth circles, and puts
/// letters on whole pixels.
fn png(comparison: &FormatComparison, text: &str) -> Result<Vec<u8>> {
    const SCALE: u32 = 2;
    const SAMPLES: u32 = 2;
    let (width, height) = (SIZE.0 * SCALE, SIZE.1 * SCALE);
    let drawn = (width * SAMPLES, height * SAMPLES);
    let mut pixels = vec![0; drawn.0 as usize * drawn.1 as usize * CHANNELS];
    let canvas = Canvas { size: drawn, unit: (SCALE * SAMPLES) as i32, drop: 4 };
    chart::draw(BitMapBackend::with_buffer(&mut pixels, drawn), &canvas, comparison, text)?;
    encode(&halved(&pixels, drawn.0 as usize), width, height).map_err(|e| Error::unsupported("the plot", e))
}

/// Red, green, blue.
const CHANNELS: usize = 3;

/// Means of squares of four pixels.
fn halved(pixels: &[u8], width: usize) -> Vec<u8> {
    let row = width * CHANNELS;
    let mut half = Vec::with_capacity(pixels.len() / 4);
    for rows in pixels.chunks_exact(2 * row) {
        let (upper, lower) = rows.split_at(row);
        for x in (0..row).step_by(2 * CHANNELS) {
            for at in x..x + CHANNELS {
                let square = [upper[at], upper[at + CHANNELS], lower[at], lower[at + CHANNELS]];
                half.push((square.into_iter().map(u16::from).sum::<u16>() / 4) as u8);
            }
        }
    }
    half
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
