#![allow(clippy::unwrap_used)]

use std::fs;

use super::super::Metadata;
use super::*;
use crate::checkpoint::check_extent;

/// The header's length, the header, the data: the format as its documentation gives it.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A file of one tensor of two F16 numbers.
fn one(name: &str, data: [u8; 4]) -> Vec<u8> {
    file(&format!(r#"{{"{name}":{{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}}}"#), &data)
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// What a folder's file holds: names and bytes of the tensors, having asserted that reading them is safe.
type Tensors = Vec<(String, Vec<u8>)>;

fn open(folder: &tempfile::TempDir, name: &str) -> Result<(Tensors, Metadata)> {
    let Contents { files, stored, metadata, .. } = read(Mapped::open(&folder.path().join(name))?)?;
    let read = |stored: Stored| {
        check_extent(&stored, &files)?;
        Ok((stored.name.clone(), stored.read(&files).data.to_vec()))
    };
    Ok((stored.into_iter().map(read).collect::<Result<_>>()?, metadata))
}

fn failure(files: &[(&str, &[u8])], name: &str) -> String {
    open(&folder(files), name).map(|_| "no failure").unwrap_err().to_string()
}

fn shards() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("model-00001-of-00002.safetensors", one("a", *b"aaaa")),
        ("model-00002-of-00002.safetensors", one("b", *b"bbbb")),
        (
            "model.safetensors.index.json",
            br#"{"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors",
                "b":"model-00002-of-00002.safetensors"}}"#
                .to_vec(),
        ),
    ]
}

fn slices<'a>(files: &'a [(&str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect()
}

#[test]
fn tensors_of_all_float_types_and_the_metadata_are_found() {
    let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]},
        "f":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"h":{"dtype":"F16","shape":[],"data_offsets":[4,6]}}"#;
    let folder = folder(&[("m.safetensors", &file(header, b"ffffhhbb"))]);
    let (tensors, metadata) = open(&folder, "m.safetensors").unwrap();
    assert_eq!(tensors, [("f", "ffff"), ("h", "hh"), ("b", "bb")].map(|(n, d)| (n.to_string(), d.as_bytes().to_vec())));
    assert_eq!(metadata.pairs, [("format".to_string(), "pt".to_string())]);
}

#[test]
fn an_index_or_any_shard_of_it_opens_the_whole_set() {
    let files = shards();
    let folder = folder(&slices(&files));
    for (name, _) in &files {
        let (tensors, _) = open(&folder, name).unwrap();
        assert_eq!(tensors, [("a", "aaaa"), ("b", "bbbb")].map(|(n, d)| (n.to_string(), d.as_bytes().to_vec())));
    }
}

#[test]
fn a_shard_without_its_index_or_a_set_without_a_shard_is_an_error() {
    let files = shards();
    let message = failure(&slices(&files)[..2], "model-00001-of-00002.safetensors");
    assert!(message.contains("one of 2 shards, but no index lists it"), "{message}");
    let message = failure(&slices(&files)[1..], "model.safetensors.index.json");
    assert!(message.contains("model-00001-of-00002.safetensors: no such file"), "{message}");
}

#[test]
fn an_index_that_lists_what_its_shards_lack_is_an_error() {
    let mut files = shards();
    files[0].1 = one("c", *b"cccc");
    let message = failure(&slices(&files), "model.safetensors.index.json");
    assert!(message.contains("lists the tensor a in model-00001-of-00002.safetensors, which lacks it"), "{message}");
}

#[test]
fn an_index_cannot_name_files_of_other_folders() {
    let long = "x".repeat(256);
    for shard in ["../x.safetensors", "/etc/passwd", "a/b", "..", "", r"c:\\x", r"..\\x", r"\n\n", r"\u001b[2J", &long]
    {
        let index = format!(r#"{{"weight_map":{{"a":"{shard}"}}}}"#);
        let message = failure(&[("model.safetensors.index.json", index.as_bytes())], "model.safetensors.index.json");
        assert!(message.contains("no plain file name"), "{message}");
    }
}

#[test]
fn the_index_of_another_model_does_not_matter() {
    for index in [br#"{"weight_map":{"b":"other.safetensors"}}"#.as_slice(), b"{damaged"] {
        let folder = folder(&[("m.safetensors", &one("a", *b"aaaa")), ("model.safetensors.index.json", index)]);
        assert_eq!(open(&folder, "m.safetensors").unwrap().0.len(), 1);
    }
}

#[test]
fn config_json_tells_the_architecture_if_it_can() {
    for (config, expected) in [
        (br#"{"model_type":"rwkv7","hidden_size":64}"#.as_slice(), Some("rwkv7")),
        (br#"{"model_type":7}"#, None),
        (b"\xff", None),
        (b"", None),
    ] {
        let folder = folder(&[("m.safetensors", &one("a", *b"aaaa")), ("config.json", config)]);
        assert_eq!(open(&folder, "m.safetensors").unwrap().1.architecture.as_deref(), expected);
    }
}

#[test]
fn other_types_are_refused_with_the_tensors_name() {
    let header = r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let message = failure(&[("m.safetensors", &file(header, &[0; 8]))], "m.safetensors");
    assert!(message.contains("the tensor a is I64"), "{message}");
}

#[test]
fn a_truncated_safetensors_is_an_error_not_a_panic() {
    let whole = one("a", *b"aaaa");
    for length in 0..whole.len() {
        let message = failure(&[("m.safetensors", &whole[..length])], "m.safetensors");
        assert!(message.contains("download or convert it again"), "{message}");
    }
}

#[test]
fn a_damaged_byte_never_panics() {
    let whole = one("a", *b"aaaa");
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let _ = open(&folder(&[("m.safetensors", &damaged)]), "m.safetensors");
        }
    }
}

#[test]
fn headers_that_lie_are_errors() {
    let huge = format!(r#"{{"a":{{"dtype":"F32","shape":[{0},{0}],"data_offsets":[0,4]}}}}"#, 1u64 << 40);
    // The tensors' sizes add up to 2^64 less a little, so that the end of the file seems to come before its beginning.
    let quarter = 1u64 << 62;
    let wrapping: Vec<_> = (0..4u64)
        .map(|i| {
            let (begin, size) = (i * quarter, if i == 3 { quarter - 320 } else { quarter });
            let shape = format!("[4,{}]", size / 8);
            format!(r#""{i}":{{"dtype":"F16","shape":{shape},"data_offsets":[{begin},{}]}}"#, begin.wrapping_add(size))
        })
        .collect();
    for header in [
        huge.as_str(),
        &format!("{{{}}}", wrapping.join(",")),
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}"#,
        "{}",
        &format!("{{\"a\":{}", "[".repeat(100_000)),
    ] {
        failure(&[("m.safetensors", &file(header, &[0; 4]))], "m.safetensors");
    }
    let endless = [&u64::MAX.to_le_bytes(), b"{}".as_slice()].concat();
    assert!(failure(&[("m.safetensors", &endless)], "m.safetensors").contains("truncated"));
}

#[test]
fn a_message_is_one_line_whatever_the_file_says() {
    let header = format!(r#"{{"a\n{}":{{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}}}"#, "b".repeat(5000));
    let message = failure(&[("m.safetensors", &file(&header, &[0; 8]))], "m.safetensors");
    assert!(!message.contains('\n') && message.len() < 2000, "{message}");
}
