//! Stop strings: text that may be the beginning of one is held back until it is known not to be.

/// What may be shown after a push.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Scan {
    /// Text that belongs to no stop string.
    pub text: String,
    /// Once a stop string is complete: what was pushed after it.
    pub rest: Option<String>,
}

/// Looks for the first stop string to become complete, of several the longest, over any division into pushes.
#[derive(Clone, Debug)]
pub(crate) struct StopScanner {
    needles: Vec<Needle>,
    /// The beginning of some stop string, at the end of what was pushed.
    held: String,
}

/// A Knuth-Morris-Pratt automaton: constant time a byte, whatever the text and the needle.
#[derive(Clone, Debug)]
struct Needle {
    bytes: Vec<u8>,
    /// For each prefix, the length of its longest proper suffix that is a prefix too.
    borders: Vec<usize>,
    matched: usize,
}

impl Needle {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let mut borders = vec![0; bytes.len()];
        let mut k = 0;
        for i in 1..bytes.len() {
            while k > 0 && bytes[i] != bytes[k] {
                k = borders[k - 1];
            }
            k += usize::from(bytes[i] == bytes[k]);
            borders[i] = k;
        }
        Self { bytes, borders, matched: 0 }
    }

    /// Takes a byte; whether it completes the needle.
    fn push(&mut self, byte: u8) -> bool {
        while self.matched > 0 && self.bytes[self.matched] != byte {
            self.matched = self.borders[self.matched - 1];
        }
        self.matched += usize::from(self.bytes[self.matched] == byte);
        self.matched == self.bytes.len()
    }
}

impl StopScanner {
    /// Empty strings are ignored: they would stop everything.
    pub fn new<S: AsRef<str>>(stops: impl IntoIterator<Item = S>) -> Self {
        let stops = stops.into_iter();
        let needles = stops.filter(|stop| !stop.as_ref().is_empty()).map(|stop| Needle::new(stop.as_ref())).collect();
        Self { needles, held: String::new() }
    }

    /// Takes text; gives what may be shown. Not to be called again after a stop.
    pub fn push(&mut self, text: &str) -> Scan {
        for (i, &byte) in text.as_bytes().iter().enumerate() {
            let mut longest = None;
            for needle in &mut self.needles {
                if needle.push(byte) {
                    longest = longest.max(Some(needle.bytes.len()));
                }
            }
            if let Some(len) = longest {
                self.held.push_str(&text[..=i]);
                self.held.truncate(self.held.len() - len);
                return Scan { text: std::mem::take(&mut self.held), rest: Some(text[i + 1..].to_string()) };
            }
        }
        self.held.push_str(text);
        let holding = self.needles.iter().map(|needle| needle.matched).max().unwrap_or(0);
        let held = self.held.split_off(self.held.len() - holding);
        Scan { text: std::mem::replace(&mut self.held, held), rest: None }
    }

    /// Whether text is held back.
    pub fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// At the end of the text: what was held back is no stop string after all.
    pub fn finish(&mut self) -> String {
        self.needles.iter_mut().for_each(|needle| needle.matched = 0);
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::Pcg64Mcg;
    use rand_pcg::rand_core::{Rng, SeedableRng};

    /// What the scanner shows of `text` when it comes in `pieces`, and what follows the stop.
    fn scanned(stops: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let mut scanner = StopScanner::new(stops);
        let mut shown = String::new();
        for (i, piece) in pieces.iter().enumerate() {
            let scan = scanner.push(piece);
            shown += &scan.text;
            if let Some(rest) = scan.rest {
                return (shown, Some(rest + &pieces[i + 1..].concat()));
            }
        }
        (shown + &scanner.finish(), None)
    }

    /// The definition: grow the text by characters until it ends in a stop string.
    fn naive(stops: &[&str], text: &str) -> (String, Option<String>) {
        for (end, _) in text.char_indices().skip(1).chain([(text.len(), ' ')]) {
            if let Some(stop) = stops.iter().filter(|s| text[..end].ends_with(**s)).max_by_key(|s| s.len()) {
                return (text[..end - stop.len()].to_string(), Some(text[end..].to_string()));
            }
        }
        (text.to_string(), None)
    }

    #[test]
    fn a_stop_string_may_straddle_pieces_and_is_never_shown() {
        assert_eq!(scanned(&["\n\n"], &["Hi.", "\n", "\nUser"]), ("Hi.".into(), Some("User".into())));
        assert_eq!(scanned(&["\n\nUser:"], &["a\n\nb\n", "\nUse", "r: x"]), ("a\n\nb".into(), Some(" x".into())));
    }

    #[test]
    fn text_that_only_began_like_a_stop_string_is_shown_late_but_whole() {
        let mut scanner = StopScanner::new(["END"]);
        assert_eq!(scanner.push("the E").text, "the ");
        assert!(scanner.holds_back());
        assert_eq!(scanner.push("N").text, "");
        assert_eq!(scanner.push("EN").text, "EN");
        assert_eq!(scanner.finish(), "EN");
        assert!(!scanner.holds_back());
    }

    #[test]
    fn without_stop_strings_everything_passes_at_once() {
        assert_eq!(scanned(&[], &["a", "ä", ""]), ("aä".into(), None));
        assert_eq!(scanned(&[""], &["a"]), ("a".into(), None));
    }

    #[test]
    fn any_division_into_pieces_gives_what_a_search_of_the_whole_text_gives() {
        let mut rng = Pcg64Mcg::seed_from_u64(7);
        let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
        let letters = ["a", "b", "é", "\n"];
        let mut stopped = 0;
        for _ in 0..20_000 {
            let mut word = |longest: usize| -> String {
                let len = 1 + below(longest);
                (0..len).map(|_| letters[below(letters.len())]).collect()
            };
            let stops: Vec<String> = (0..3).map(|_| word(5)).collect();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let pieces: Vec<String> = (0..6).map(|_| word(4)).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let expected = naive(&stops, &pieces.concat());
            stopped += usize::from(expected.1.is_some());
            assert_eq!(scanned(&stops, &pieces), expected, "{stops:?} in {pieces:?}");
        }
        assert!((1_000..19_500).contains(&stopped), "the test must see both outcomes, stopped {stopped} times");
    }
}
