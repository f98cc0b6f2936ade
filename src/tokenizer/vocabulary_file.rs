//! The text file of a World vocabulary, `rwkv_vocab_v20230424.txt`: lines of an id, a Python literal of text or of
//! bytes, and the token's length in bytes.

use std::path::Path;
use std::str::Chars;

use super::tokens::{MOST_TOKENS, Tokens};
use crate::error::{Error, Result};

/// Whether a file begins as a vocabulary does: with a number and a Python literal.
pub(super) fn looks_like_it(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && matches!(text.get(digits..), Some([b' ', b'\'' | b'"' | b'b', ..]))
}

/// Reads the file, with either line ending. Id 0 ends a text; it is not in the file.
pub(super) fn parse(text: &[u8], path: &Path) -> Result<Tokens> {
    let damaged = |cause: String| Error::format(path, format!("{cause}; it is damaged, download it again"));
    let text = std::str::from_utf8(text).map_err(|e| damaged(format!("is not UTF-8 at byte {}", e.valid_up_to())))?;
    let mut tokens: Vec<Vec<u8>> = vec![Vec::new()];
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
        let at_line = |cause: &str| damaged(format!("line {number} {cause}"));
        let (id, token) = parse_line(line).map_err(at_line)?;
        if id >= tokens.len() {
            tokens.resize(id + 1, Vec::new());
        }
        match tokens.get_mut(id) {
            Some(free) if free.is_empty() => *free = token,
            _ => return Err(at_line("repeats an id")),
        }
    }
    Tokens::collect(tokens).map_err(damaged)
}

/// Tokens contain spaces: the literal is what stands between the first space and the last.
fn parse_line(line: &str) -> Result<(usize, Vec<u8>), &'static str> {
    let (id, rest) = line.split_once(' ').ok_or("has no spaces")?;
    let (literal, len) = rest.rsplit_once(' ').ok_or("has no length at its end")?;
    let id = id.parse().ok().filter(|id| (1..MOST_TOKENS).contains(id)).ok_or("has no valid id")?;
    let token = parse_literal(literal).ok_or("has no Python literal of text or bytes")?;
    if token.is_empty() || len.parse() != Ok(token.len()) {
        return Err("has a token of another length than it says");
    }
    Ok((id, token))
}

/// A Python literal of a string (as UTF-8) or of bytes, with the escapes that Python's `repr` writes.
fn parse_literal(literal: &str) -> Option<Vec<u8>> {
    let (is_bytes, quoted) = match literal.strip_prefix('b') {
        Some(rest) => (true, rest),
        None => (false, literal),
    };
    let quote = quoted.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let mut rest = quoted.strip_prefix(quote)?.strip_suffix(quote)?.chars();
    let mut out = Vec::new();
    while let Some(c) = rest.next() {
        let c = match c {
            '\\' => escaped(&mut rest, is_bytes)?,
            c if c == quote || is_bytes && !c.is_ascii() => return None,
            c => c,
        };
        if is_bytes {
            out.push(u8::try_from(c).ok()?);
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Some(out)
}

/// What the characters after a backslash stand for. In bytes, `\xNN` is a byte; in text, a code point.
fn escaped(rest: &mut Chars<'_>, is_bytes: bool) -> Option<char> {
    Some(match rest.next()? {
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        itself @ ('\\' | '\'' | '"') => itself,
        'x' => code_point(rest, 2)?,
        'u' if !is_bytes => code_point(rest, 4)?,
        'U' if !is_bytes => code_point(rest, 8)?,
        _ => return None,
    })
}

fn code_point(rest: &mut Chars<'_>, digits: usize) -> Option<char> {
    let mut code = 0u32;
    for _ in 0..digits {
        code = code << 4 | rest.next()?.to_digit(16)?;
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: impl AsRef<[u8]>) -> Result<Vec<Vec<u8>>> {
        super::parse(text.as_ref(), Path::new("vocab.txt")).map(|tokens| tokens.iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn python_literals_become_the_bytes_that_python_gives() {
        for (literal, bytes) in [
            (r"'\n'", &b"\n"[..]),
            (r#""it's""#, b"it's"),
            (r"'\xa0'", "\u{a0}".as_bytes()),
            (r"b'\xa0'", b"\xa0"),
            (r#"b"'\t""#, b"'\t"),
            (r"'\u3000'", "\u{3000}".as_bytes()),
            (r"'\U0001f980'", "🦀".as_bytes()),
            (r"'\\ \''", b"\\ '"),
            (r"'犬'", "犬".as_bytes()),
        ] {
            assert_eq!(parse_literal(literal).as_deref(), Some(bytes), "{literal}");
        }
    }

    #[test]
    fn what_is_no_python_literal_is_refused() {
        for wrong in [
            "",
            "a",
            "'",
            "b'",
            "'a",
            "'a\"",
            r"'\'",
            r"'\x1'",
            r"'\xé1'",
            r"'\ud800'",
            r"'\UFFFFFFFF'",
            r"'\q'",
            r"b'\u1234'",
            "b'犬'",
            "b'é'",
            "'a'b'",
        ] {
            assert_eq!(parse_literal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn both_line_endings_give_the_same_and_tokens_may_contain_spaces() {
        let lf = "1 ' a ' 3\n2 b'\\xff' 1\n4 '\\n' 1\n";
        let tokens = parse(lf).unwrap();
        assert_eq!(tokens, [&b""[..], b" a ", b"\xff", b"", b"\n"]);
        assert_eq!(parse(lf.replace('\n', "\r\n")).unwrap(), tokens);
        assert_eq!(parse(lf.trim_end()).unwrap(), tokens);
    }

    #[test]
    fn a_damaged_line_is_an_error_that_names_it() {
        for wrong in [
            "hello",
            "2",
            "2 'b'",
            "2 'b' 7",
            "2 'b' -1",
            "2 'b' 99999999999999999999",
            "2 '' 0",
            "2 b 1",
            "x 'b' 1",
            "0 'b' 1",
            "1 'b' 1",
            "1048576 'b' 1",
            "99999999999999999999 'b' 1",
        ] {
            let message = parse(format!("1 'a' 1\n{wrong}\n")).unwrap_err().to_string();
            assert!(message.starts_with("vocab.txt: line 2 "), "{wrong}: {message}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_read_or_refused_and_never_panics() {
        let whole = "1 'a' 1\n2 b'\\xe6\\x97' 2\n3 '\\u3000犬' 6\n".as_bytes();
        let complete_lines = (0..=whole.len()).filter(|&len| parse(&whole[..len]).is_ok()).count();
        // Nothing, and each line with and without its line ending.
        assert_eq!(complete_lines, 7);
    }

    #[test]
    fn a_giant_token_is_refused() {
        let message = parse(format!("1 '{}' 2000", "a".repeat(2000))).unwrap_err().to_string();
        assert!(message.contains("2000 bytes"), "{message}");
    }
}
