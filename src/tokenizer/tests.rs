use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// Texts with the ids that PyPI rwkv's tokenizer gives them (`tests/golden/make_world_tokenizer.py`).
fn golden() -> Vec<(String, Vec<u32>)> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/golden/world_tokenizer.json")).unwrap();
    let case = |case: &Value| {
        let ids = case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        (case["text"].as_str().unwrap().to_string(), ids)
    };
    cases.iter().map(case).collect()
}

fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// The World vocabulary as its text file has it.
fn world_text(line_ending: &str) -> String {
    let world = Tokenizer::world();
    let line = |(id, bytes): (usize, &[u8])| {
        let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("{id} b'{escaped}' {}{line_ending}", bytes.len())
    };
    world.0.tokens.iter().enumerate().skip(1).map(line).collect()
}

/// GPT-2's alphabet, as its `bytes_to_unicode` makes it.
fn alphabet() -> Vec<char> {
    let printable =
        |byte: &u32| (0x21..0x7f).contains(byte) || (0xa1..0xad).contains(byte) || (0xae..0x100).contains(byte);
    let mut others = 0x100..;
    let mut symbol = |byte| if printable(&byte) { byte } else { others.next().unwrap() };
    (0..0x100).map(|byte| char::from_u32(symbol(byte)).unwrap()).collect()
}

/// A tokenizer built as `20B_tokenizer.json` is: `<|endoftext|>`, the 256 bytes as ids 1 to 256, a few merges, and runs
/// of spaces as added tokens. Its settings for training would cut and fill up texts.
fn byte_level_json() -> Value {
    let alphabet = alphabet();
    let symbols = |text: &str| text.bytes().map(|byte| alphabet[usize::from(byte)]).collect::<String>();
    let mut vocabulary = BTreeMap::from([("<|endoftext|>".to_string(), 0)]);
    vocabulary.extend(alphabet.iter().map(char::to_string).zip(1..));
    // The second merge is of the first two of the three bytes of 犬.
    let dog = symbols("犬").chars().collect::<Vec<_>>();
    let merges = [("h".to_string(), "e".to_string()), (dog[0].into(), dog[1].into()), (symbols(" "), "t".into())];
    vocabulary.extend(merges.iter().map(|(a, b)| format!("{a}{b}")).zip(257..));
    let added = |id: u32, content: &str, special: bool| {
        json!({ "id": id, "content": content, "special": special, "normalized": !special,
                "single_word": false, "lstrip": false, "rstrip": false })
    };
    json!({
        "version": "1.0",
        "truncation": { "max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right" },
        "padding": { "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null,
                     "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>" },
        "added_tokens": [added(0, "<|endoftext|>", true), added(260, "  ", false), added(261, "   ", false)],
        "normalizer": { "type": "NFC" },
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "vocab": vocabulary, "merges": merges },
    })
}

fn open_json(json: &Value) -> Result<Tokenizer> {
    let (_folder, path) = file("tokenizer.json", json.to_string());
    Tokenizer::open(path)
}

fn byte_level() -> Tokenizer {
    open_json(&byte_level_json()).unwrap()
}

/// Pseudo-random numbers below `end` (Knuth's MMIX generator).
fn random(end: u32) -> impl Iterator<Item = u32> {
    let step = |seed: &u64| Some(seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
    std::iter::successors(Some(42), step).map(move |seed| ((seed >> 32) as u32) % end)
}

#[test]
fn world_encodes_as_the_reference_does_and_gives_the_text_back() {
    let world = Tokenizer::world();
    let golden = golden();
    assert!(golden.len() > 200);
    for (text, ids) in golden {
        assert_eq!(world.encode(&text).unwrap(), ids, "{text:?}");
        assert_eq!(world.decode(&ids).unwrap(), text);
    }
}

#[test]
fn world_has_the_ids_that_everyone_knows() {
    let world = Tokenizer::world();
    for (text, id) in [("\n", 11), ("\n\n", 261), ("\r\n", 263), ("User", 24281), (":", 59)] {
        assert_eq!(world.encode(text).unwrap(), [id], "{text:?}");
    }
    assert_eq!((world.n_vocab(), world.end_of_text()), (65530, Some(0)));
    assert_eq!(world.decode(&[0, 24281, 0]).unwrap(), "User");
}

#[test]
fn every_world_token_but_0_encodes_to_itself_and_the_first_256_are_the_bytes() {
    let world = Tokenizer::world();
    for id in 1..world.n_vocab() as u32 {
        assert_eq!(world.encode_bytes(&world.token_bytes(id).unwrap()).unwrap(), [id]);
    }
    for byte in 0..=255 {
        assert_eq!(world.encode_bytes(&[byte]).unwrap(), [u32::from(byte) + 1]);
    }
}

#[test]
fn bytes_are_their_own_ids() {
    let bytes = Tokenizer::bytes();
    assert_eq!(bytes.encode("aé").unwrap(), [0x61, 0xc3, 0xa9]);
    assert_eq!(bytes.decode(&[0x61, 0xc3, 0xa9]).unwrap(), "aé");
    assert_eq!(bytes.encode_bytes(&[0xff, 0]).unwrap(), [0xff, 0]);
    assert_eq!(bytes.end_of_text(), None);
}

#[test]
fn an_unknown_id_is_an_error_that_names_it_and_the_ids_there_are() {
    for (tokenizer, beyond) in [(Tokenizer::world(), 65530), (Tokenizer::bytes(), 256), (byte_level(), 262)] {
        assert!(tokenizer.decode(&[beyond - 1]).is_ok());
        for id in [beyond, u32::MAX] {
            let message = tokenizer.decode(&[65, id]).unwrap_err().to_string();
            assert!(message.contains(&format!("{id} is")) && message.contains(&format!("below {beyond}")), "{message}");
            assert_eq!(tokenizer.token_bytes(id).unwrap_err().to_string(), message);
            assert_eq!(tokenizer.stream().push(id).unwrap_err().to_string(), message);
        }
    }
}

#[test]
fn the_pieces_of_a_stream_are_the_decoded_text_for_any_ids() {
    for tokenizer in [Tokenizer::world(), Tokenizer::bytes(), byte_level()] {
        // Few different ids make many broken characters; all ids make the rest.
        for end in [256, 262, tokenizer.n_vocab() as u32].map(|end| end.min(tokenizer.n_vocab() as u32)) {
            let mut random = random(end);
            for len in 0..300 {
                let ids: Vec<u32> = random.by_ref().take(len % 40).collect();
                let mut stream = tokenizer.stream();
                let mut pieces: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
                pieces += &stream.finish();
                assert_eq!(pieces, tokenizer.decode(&ids).unwrap(), "{tokenizer:?} {ids:?}");
            }
        }
    }
}

#[test]
fn a_stream_shows_every_character_as_soon_as_it_is_whole() {
    for tokenizer in [Tokenizer::bytes(), byte_level()] {
        for (text, pieces) in [("a犬", vec!["a", "", "", "犬"]), ("é🦀", vec!["", "é", "", "", "", "🦀"])] {
            let mut stream = tokenizer.stream();
            let ids =
                text.bytes().map(|byte| tokenizer.0.tokens.iter().position(|token| token == [byte]).unwrap() as u32);
            assert_eq!(ids.map(|id| stream.push(id).unwrap()).collect::<Vec<_>>(), pieces);
            assert_eq!(stream.finish(), "");
        }
    }
}

#[test]
fn a_stream_replaces_bytes_that_can_never_become_a_character_at_once() {
    let mut stream = Tokenizer::bytes().stream();
    let mut push = |byte| stream.push(byte).unwrap();
    assert_eq!(push(0x80), "\u{fffd}");
    assert_eq!((push(0xe7), push(0x8a)), (String::new(), String::new()));
    assert_eq!(push(b'a'.into()), "\u{fffd}a");
    assert_eq!((push(0xf0), push(0xff)), (String::new(), "\u{fffd}\u{fffd}".into()));
    assert_eq!((push(0xed), push(0xa0)), (String::new(), "\u{fffd}\u{fffd}".into()));
    assert_eq!(push(0xc3), "");
    assert!(stream.holds_back());
    assert_eq!(stream.finish(), "\u{fffd}");
    assert_eq!(stream.finish(), "");
}

#[test]
fn a_byte_level_tokenizer_merges_and_splits_characters() {
    let tokenizer = byte_level();
    assert_eq!((tokenizer.name(), tokenizer.n_vocab()), ("hugging-face", 262));
    let byte = |byte: u8| u32::from(byte) + 1;
    assert_eq!(tokenizer.encode("he t").unwrap(), [257, 259]);
    assert_eq!(tokenizer.encode("犬").unwrap(), [258, byte(0xac)]);
    assert_eq!(tokenizer.encode("a  b").unwrap(), [byte(b'a'), 260, byte(b'b')]);
    let mut stream = tokenizer.stream();
    assert_eq!([258, byte(0xac)].map(|id| stream.push(id).unwrap()), ["", "犬"]);
    assert_eq!(&*tokenizer.token_bytes(258).unwrap(), b"\xe7\x8a");
}

#[test]
fn a_byte_level_tokenizer_gives_texts_back_in_unicodes_form_nfc() {
    let tokenizer = byte_level();
    for (text, _) in golden() {
        let ids = tokenizer.encode(&text).unwrap();
        let mut composed = tokenizers::NormalizedString::from(text.as_str());
        composed.nfc();
        assert_eq!(tokenizer.decode(&ids).unwrap(), composed.get());
    }
}

#[test]
fn a_byte_level_tokenizer_decodes_as_hugging_face_does() {
    let tokenizer = byte_level();
    let Encoder::HuggingFace(theirs) = &tokenizer.0.encoder else { panic!("another kind") };
    let mut random = random(262);
    for len in 0..200 {
        let ids: Vec<u32> = random.by_ref().take(len % 20).collect();
        assert_eq!(tokenizer.decode(&ids).unwrap(), theirs.tokenizer.decode(&ids, true).unwrap());
    }
}

#[test]
fn text_never_becomes_a_control_token() {
    for tokenizer in [byte_level(), Tokenizer::world()] {
        let ids = tokenizer.encode("a<|endoftext|>b").unwrap();
        assert_eq!(tokenizer.end_of_text(), Some(0));
        assert!(!ids.contains(&0));
        assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|endoftext|>b");
        assert_eq!(tokenizer.decode(&[0]).unwrap(), "");
    }
}

#[test]
fn training_settings_neither_cut_nor_fill_up_a_text() {
    assert_eq!(byte_level().encode("abc").unwrap().len(), 3);
    assert_eq!(byte_level().encode("abcdefghijkl").unwrap().len(), 12);
}

#[test]
fn a_vocabulary_file_with_either_line_ending_is_the_built_in_one() {
    for line_ending in ["\n", "\r\n"] {
        let (_folder, path) = file("rwkv_vocab_v20230424.txt", world_text(line_ending));
        let tokenizer = Tokenizer::open(path).unwrap();
        assert_eq!(tokenizer.name(), "world");
        assert!(tokenizer.0.tokens.iter().eq(Tokenizer::world().0.tokens.iter()));
    }
}

#[test]
fn a_gguf_vocabulary_padded_to_the_models_size_is_the_built_in_one() {
    let mut tokens: Vec<Vec<u8>> = Tokenizer::world().0.tokens.iter().map(<[u8]>::to_vec).collect();
    tokens.resize(65536, Vec::new());
    let padded = Tokenizer::from_vocabulary(tokens.clone()).unwrap();
    assert_eq!((padded.name(), padded.n_vocab()), ("world", 65530));
    tokens[300].push(b'!');
    let other = Tokenizer::from_vocabulary(tokens).unwrap();
    assert_eq!((other.name(), other.n_vocab(), other.end_of_text()), ("vocabulary", 65536, Some(0)));
    assert_eq!(other.decode(&other.encode("Hello, 犬").unwrap()).unwrap(), "Hello, 犬");
}

#[test]
fn a_vocabulary_without_a_character_says_which() {
    let tokenizer = Tokenizer::from_vocabulary(vec![b"a".to_vec(), b"".to_vec(), b"ab".to_vec()]).unwrap();
    assert_eq!(tokenizer.encode("aaba").unwrap(), [0, 2, 0]);
    assert_eq!(tokenizer.end_of_text(), None);
    let told = |what: &str| format!("the vocabulary has no token for {what}; leave it out");
    for (text, what) in [("abb", "'b'"), ("a\t", "'\\t'"), ("犬a", "'犬'")] {
        assert_eq!(tokenizer.encode(text).unwrap_err().to_string(), format!("text: {}", told(what)));
        let prompt = tokenizer.encode_argument("prompt", text).unwrap_err().to_string();
        assert_eq!(prompt, format!("prompt: {}", told(what)));
    }
    // The first two bytes of 犬 are a token.
    let halves = Tokenizer::from_vocabulary(vec![b"a".to_vec(), b"\xe7\x8a".to_vec()]).unwrap();
    for (bytes, what) in [
        ("a犬".as_bytes(), "'犬'"),
        (b"a\xac", "the byte 0xac"),
        (b"\xe7\x8a\xff", "the byte 0xff"),
        (b"\xac", "the byte 0xac"),
    ] {
        assert_eq!(halves.encode_bytes(bytes).unwrap_err().to_string(), format!("data: {}", told(what)));
    }
    assert!(Tokenizer::from_vocabulary(Vec::new()).unwrap().encode("a").is_err());
    assert!(Tokenizer::from_vocabulary(vec![vec![b'a'; 5000]]).is_err());
    let of_a_file = Tokenizer::from_vocabulary_of(Path::new("m.gguf"), &[vec![b'a'; 5000]]).unwrap_err().to_string();
    assert!(of_a_file.starts_with("m.gguf: its vocabulary is damaged: token 0 has 5000 bytes"), "{of_a_file}");
}

#[test]
fn a_byte_level_vocabulary_without_a_byte_says_for_which_character() {
    let mut json = byte_level_json();
    // The symbols of the last byte of é in Unicode's form NFC, and of a control character.
    for symbol in ["©", "ŀ"] {
        json["model"]["vocab"].as_object_mut().unwrap().remove(symbol).unwrap();
    }
    json["model"]["merges"] = json!([]);
    let tokenizer = open_json(&json).unwrap();
    for text in ["café", "cafe\u{301}"] {
        let message = "text: the vocabulary has no token for 'é'; leave it out";
        assert_eq!(tokenizer.encode(text).unwrap_err().to_string(), message);
    }
    assert_eq!(tokenizer.decode(&tokenizer.encode("cafe, 犬").unwrap()).unwrap(), "cafe, 犬");
    json["model"]["unk_token"] = json!("a");
    assert_eq!(open_json(&json).unwrap().encode("é").unwrap().len(), 2);
}

#[test]
fn a_tokenizer_fits_models_of_its_size_and_a_little_more() {
    let fits = |tokenizer: &Tokenizer, n_vocab| tokenizer.check_fits(n_vocab, "model.pth").is_ok();
    let world = Tokenizer::world();
    for (n_vocab, expected) in
        [(65529, false), (65530, true), (65536, true), (66553, true), (66554, false), (256, false)]
    {
        assert_eq!(fits(&world, n_vocab), expected, "{n_vocab}");
    }
    assert!(!fits(&world, 50277));
    for (n_vocab, expected) in [(255, false), (256, true), (257, false), (65536, false)] {
        assert_eq!(fits(&Tokenizer::bytes(), n_vocab), expected, "{n_vocab}");
    }
    // 20B_tokenizer.json's size, and a tiny one.
    for (own, n_vocab, expected) in
        [(50277, 50277, true), (50277, 50304, true), (50277, 65536, false), (50277, 50276, false), (262, 384, false)]
    {
        let tokenizer = Tokenizer::from_vocabulary(vec![b"a".to_vec(); own]).unwrap();
        assert_eq!(fits(&tokenizer, n_vocab), expected, "{own} {n_vocab}");
    }
}

#[test]
fn the_wrong_tokenizer_is_named_with_the_right_one() {
    let message = |n_vocab| Tokenizer::world().check_fits(n_vocab, "m.pth").unwrap_err();
    assert!(matches!(message(256), Error::Mismatch { .. }));
    assert_eq!(
        message(50277).to_string(),
        "m.pth: its vocabulary of 50277 does not fit the world tokenizer of 65530 ids; use 20B_tokenizer.json"
    );
    assert!(
        message(256)
            .to_string()
            .ends_with("give none if the model works on raw bytes, else the one it was trained with")
    );
    let message = Tokenizer::bytes().check_fits(65536, "m.pth").unwrap_err().to_string();
    assert!(message.contains("World"), "{message}");
}

#[test]
fn a_file_that_is_no_tokenizer_is_an_error_in_one_line() {
    let mut id_of_a_giant = byte_level_json();
    id_of_a_giant["model"]["vocab"]["giant"] = json!(u32::MAX);
    let mut no_tokens = byte_level_json();
    (no_tokens["model"]["vocab"], no_tokens["model"]["merges"]) = (json!({}), json!([]));
    no_tokens["added_tokens"] = json!([]);
    let json = byte_level_json().to_string();
    for (content, cause) in [
        (&b""[..], "is empty"),
        (b"\xff\xd8\xff\xe0JFIF", "is no tokenizer"),
        (b"hello", "is no tokenizer"),
        (b"{}", "tokenizer.json"),
        (b"{\"version\": \"1.0\", \"model\": 7}", "tokenizer.json"),
        (&json.as_bytes()[..json.len() / 2], "tokenizer.json"),
        (id_of_a_giant.to_string().as_bytes(), "4294967295"),
        (no_tokens.to_string().as_bytes(), "no tokens"),
        (b"1 'a' 1\n2 'b' 2\n", "line 2"),
        (b"1 'a' 1\n2 '\xff' 1\n", "UTF-8"),
    ] {
        let (_folder, path) = file("tokenizer", content);
        let error = Tokenizer::open(&path).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Format { .. }), "{message}");
        assert!(message.contains(cause) && message.lines().count() == 1, "{message}");
        assert!(message.starts_with(&*path.to_string_lossy()), "{message}");
    }
    assert!(matches!(Tokenizer::open("no/such/file"), Err(Error::Io { .. })));
    assert!(matches!(Tokenizer::open(std::env::temp_dir()), Err(Error::Io { .. })));
}

#[test]
fn a_tokenizer_json_larger_than_any_is_refused_before_it_takes_fifty_times_its_size() {
    let (_folder, path) = file("tokenizer.json", format!("{{{}}}", " ".repeat(16 << 20)));
    assert!(Tokenizer::open(path).unwrap_err().to_string().contains("at most 16777216"));
}

#[test]
fn a_tokenizer_json_of_another_kind_is_refused_by_name() {
    for (part, value, cause) in [
        ("/model/continuing_subword_prefix", json!("a longer prefix than any token"), "continuing_subword_prefix"),
        ("/model/dropout", json!(0.1), "dropout"),
        ("/model/type", json!("Unigram"), "Unigram"),
        ("/decoder", json!({ "type": "Metaspace" }), "Metaspace"),
        ("/decoder", json!(null), "decoder"),
        (
            "/normalizer",
            json!({ "type": "Sequence", "normalizers": [{ "type": "NFC" }, { "type": "Strip" }] }),
            "Strip",
        ),
    ] {
        let mut json = byte_level_json();
        *json.pointer_mut(part).unwrap() = value;
        let error = open_json(&json).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(cause), "{error}");
    }
}

#[test]
fn a_truncated_tokenizer_json_is_an_error_not_a_panic() {
    let json = byte_level_json();
    // One key after the other, so that the cuts go through each part; the model's is the longest by far.
    let parts = json.as_object().unwrap();
    for (key, value) in parts {
        let whole = format!("{{\"{key}\":{value}}}");
        for end in (1..whole.len()).step_by(1 + whole.len() / 200) {
            assert!(hugging_face::parse(&whole.as_bytes()[..end], Path::new("t.json")).is_err(), "{}", &whole[..end]);
        }
    }
}

#[test]
fn a_tokenizer_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Tokenizer>();
    shared::<DecodeStream>();
}
