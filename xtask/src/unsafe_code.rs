//! Where unsafe code is, and why. That each has its reason is clippy's to check: `undocumented_unsafe_blocks` is denied.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Result, at};

/// Prints every file of the library with unsafe code, how often it has some, and the reasons it gives.
pub fn list() -> Result {
    for file in files()? {
        println!("\n{}: {}", file.path.display(), file.blocks);
        for (line, reason) in &file.reasons {
            println!("{line:6}  {reason}");
        }
    }
    println!();
    count()
}

/// Prints how much there is.
pub fn count() -> Result {
    let files = files()?;
    let blocks: usize = files.iter().map(|file| file.blocks).sum();
    println!(
        "unsafe code: {blocks} blocks and implementations in {} files; `cargo xtask unsafe` lists the reasons",
        files.len()
    );
    Ok(())
}

struct File {
    path: PathBuf,
    blocks: usize,
    /// With their lines.
    reasons: Vec<(usize, String)>,
}

fn files() -> Result<Vec<File>> {
    let mut sources = Vec::new();
    collect(&at("src"), &mut sources)?;
    sources.sort();
    let files = sources.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|file| file.blocks > 0).collect())
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> Result {
    let failed = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<File> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let path = path.strip_prefix(at("")).unwrap_or(path).to_path_buf();
    Ok(File { path, blocks: blocks(&text), reasons: reasons(&text) })
}

fn blocks(text: &str) -> usize {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.map(|line| line.matches("unsafe {").count() + line.matches("unsafe impl").count()).sum()
}

/// What follows `SAFETY`, to the end of the comment.
fn reasons(text: &str) -> Vec<(usize, String)> {
    let comment = |line: &'_ str| line.trim_start().strip_prefix("// ").map(str::to_string);
    let lines: Vec<_> = text.lines().collect();
    let begins = lines.iter().enumerate().filter_map(|(index, line)| Some((index, comment(line)?)));
    begins
        .filter_map(|(index, line)| {
            let mut reason = line.strip_prefix("SAFETY")?.trim_start_matches(':').trim().to_string();
            for line in lines[index + 1..].iter().map_while(|line| comment(line)) {
                reason = format!("{reason} {line}");
            }
            Some((index + 1, reason))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "\
// SAFETY: one,
// and more
unsafe { one() };
    // unsafe { none }
    // SAFETY of all that follows: two
unsafe impl Two for () {}
";

    #[test]
    fn blocks_are_counted_and_reasons_found() {
        assert_eq!(blocks(CODE), 2);
        let expected = [(1, "one, and more".to_string()), (5, "of all that follows: two".to_string())];
        assert_eq!(reasons(CODE), expected);
    }
}
