use super::*;
use crate::eval::{FormatReport, PerplexityReport};

/// Bytes and perplexity of each format; the first is the unquantized model.
fn comparison(rows: &[(&str, usize, f64)]) -> FormatComparison {
    let parameters = rows[0].1 as f64 / 2.0;
    let row = |&(name, bytes, perplexity): &(&str, usize, f64)| FormatReport {
        format: Some(name.to_string()).filter(|name| !name.is_empty()),
        perplexity: PerplexityReport {
            model: "tiny".into(),
            text_tokens: 1025,
            tokens: 1025,
            predictions: 1024,
            cross_entropy: perplexity.ln(),
            cross_entropy_error: None,
            perplexity,
            perplexity_error: None,
            predicted_bytes: None,
            bits_per_byte: None,
            seconds: 1.0,
            milliseconds_per_token: 1.0,
        },
        perplexity_change_percent: 0.0,
        kl_divergence: 0.0,
        kl_divergence_error: None,
        bytes,
        bits_per_weight: bytes as f64 * 8.0 / parameters,
        prefill_tokens_per_second: None,
        decode_tokens_per_second: None,
    };
    FormatComparison {
        model: "RWKV-x070-World-0.4B <&>".into(),
        is_quantized: false,
        unquantized: row(&rows[0]),
        formats: rows[1..].iter().map(row).collect(),
    }
}

/// Formats of 4 and 5 bits lie close together.
fn many_formats() -> FormatComparison {
    comparison(&[
        ("", 923 << 20, 11.204),
        ("Q2_K", 196 << 20, 14.93),
        ("Q3_K", 233 << 20, 12.31),
        ("Q4_0", 288 << 20, 11.72),
        ("IQ4_NL", 288 << 20, 11.55),
        ("Q4_K", 291 << 20, 11.51),
        ("Q4_1", 313 << 20, 11.58),
        ("Q4_K_M", 305 << 20, 11.45),
        ("Q5_0", 339 << 20, 11.33),
        ("Q5_K", 341 << 20, 11.29),
        ("Q5_1", 364 << 20, 11.28),
        ("Q6_K", 400 << 20, 11.23),
        ("Q8_0", 501 << 20, 11.207),
    ])
}

#[test]
fn the_svg_is_well_formed_and_holds_every_label_the_titles_and_the_units() {
    let svg = svg(&many_formats(), "a \"tale\" & more\u{1}.txt").unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let texts: Vec<_> =
        document.descendants().filter(|node| node.has_tag_name("text")).filter_map(|node| node.text()).collect();
    let texts: Vec<_> = texts.iter().map(|text| text.trim()).collect();
    for label in [
        "RWKV-x070-World-0.4B <&>: perplexity by format",
        "1024 tokens of a \"tale\" & more\u{fffd}.txt; lower is better",
        "weights in memory, MiB",
        "bits per weight",
        "perplexity",
        "unquantized (923.0 MiB): 11.204",
    ] {
        assert!(texts.contains(&label), "{label}: {texts:?}");
    }
    for row in many_formats().formats {
        let name = row.format.unwrap();
        assert_eq!(texts.iter().filter(|text| **text == name).count(), 1, "{name}");
    }
    let circles = document.descendants().filter(|node| node.has_tag_name("circle")).count();
    assert_eq!(circles, many_formats().formats.len());
    assert_eq!(document.root_element().attribute("width"), Some("960"));
}

#[test]
fn the_png_has_its_size_and_shows_something() {
    let bytes = png(&many_formats(), "tale.txt").unwrap();
    assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n");
    let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, pixels.len()), (1920, 1200, 1920 * 1200 * 3));
    let dark = pixels.chunks_exact(3).filter(|pixel| pixel.iter().all(|&x| x < 0x60)).count();
    assert!((3_000..300_000).contains(&dark), "{dark} dark pixels");
    // The corner is empty.
    assert_eq!(pixels[..3], [255; 3]);
}

#[test]
fn one_format_equal_to_the_unquantized_model_can_be_drawn() {
    for (bytes, perplexity) in [(1, 1.0), (1000, 256.0), (usize::MAX / 16, 1e30)] {
        svg(&comparison(&[("", bytes, perplexity), ("F16", bytes, perplexity)]), "tale.txt").unwrap();
    }
}

#[test]
fn a_perplexity_beyond_all_numbers_is_an_error() {
    for bad in [f64::INFINITY, f64::NAN] {
        let error = svg(&comparison(&[("", 9, 2.0), ("Q2_K", 1, bad), ("F16", 8, 2.0)]), "tale.txt").unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }
}

#[test]
fn a_long_title_is_cut() {
    let mut long = many_formats();
    long.model = "long ".repeat(100);
    let svg = svg(&long, "tale.txt").unwrap();
    let title = svg.lines().find(|line| line.starts_with("long long")).unwrap();
    assert!(title.ends_with('…') && (40..120).contains(&title.len()), "{title}");
}

#[test]
fn a_plot_is_written_whole_as_what_its_extension_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, start) in [("plot.SVG", &b"<svg"[..]), ("plot.png", b"\x89PNG")] {
        let path = folder.path().join(name);
        path.to_str().unwrap().parse::<PlotFile>().unwrap().write(&many_formats(), "tale.txt").unwrap();
        assert!(std::fs::read(path).unwrap().starts_with(start), "{name}");
    }
    assert!("plot.jpeg".parse::<PlotFile>().is_err());
}
