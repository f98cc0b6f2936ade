//! The documentation's site (mdBook, from `docs/`), and the links of every Markdown file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::process::{Result, at, is_there, root, run, tree};

/// Checks the links, and builds the site. Without mdBook there is nothing to build it with: that is what `Some` says.
pub fn build() -> Result<Option<String>> {
    println!("\n--- docs-site ---");
    check_links()?;
    let mut mdbook = match (is_there("mdbook"), tree("book")) {
        (true, _) => Command::new("mdbook"),
        (false, true) => {
            let mut command = Command::new(at(".ci/trixie"));
            command.args(["run", "mdbook"]);
            command
        }
        (false, false) => {
            return Ok(Some(
                "mdBook (mdbook not found; on Debian 12, `.ci/trixie book` installs it in a tree of its own)".into(),
            ));
        }
    };
    run(mdbook.arg("build"))?;
    println!("target/book/index.html");
    Ok(None)
}

/// That each relative link leads to a file, and to a heading of it, and that the site has every page.
fn check_links() -> Result {
    let mut broken = Vec::new();
    let pages = pages()?;
    for page in &pages {
        let text = read(page)?;
        for link in links(&text) {
            if let Some(fault) = fault(page, &link)? {
                broken.push(format!("{}: {link}: {fault}", page.display()));
            }
        }
    }
    let contents = read(Path::new("docs/SUMMARY.md"))?;
    let contents: BTreeSet<_> = links(&contents).into_iter().map(|link| Path::new("docs").join(link)).collect();
    for page in pages.iter().filter(|page| page.parent() == Some(Path::new("docs")) && !page.ends_with("SUMMARY.md")) {
        if !contents.contains(page) {
            broken.push(format!("{}: is not in docs/SUMMARY.md", page.display()));
        }
    }
    match broken.is_empty() {
        true => Ok(()),
        false => Err(format!("broken links:\n{}", broken.join("\n"))),
    }
}

/// The Markdown files of the checkout, as paths in it.
fn pages() -> Result<Vec<PathBuf>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"];
    let output = Command::new("git").args(list).current_dir(root()).output();
    let output = output.map_err(|error| format!("git could not be started: {error}"))?;
    let pages: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect();
    match pages.is_empty() {
        true => Err("git ls-files lists no Markdown file".into()),
        false => Ok(pages.into_iter().filter(|page| at(&page.to_string_lossy()).exists()).collect()),
    }
}

fn read(page: &Path) -> Result<String> {
    fs::read_to_string(root().join(page)).map_err(|error| format!("{}: {error}", page.display()))
}

/// What is wrong with a link.
fn fault(page: &Path, link: &str) -> Result<Option<String>> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(None);
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = match file {
        "" => page.to_path_buf(),
        file => plain(&page.parent().unwrap_or(Path::new("")).join(file)),
    };
    if !root().join(&target).exists() {
        return Ok(Some("there is no such file".into()));
    }
    if page.starts_with("docs") && !target.starts_with("docs") {
        return Ok(Some("leads out of docs/, which the site does not hold; name the file instead".into()));
    }
    match anchor {
        Some(anchor) if !headings(&read(&target)?).contains(anchor) => Ok(Some("there is no such heading".into())),
        _ => Ok(None),
    }
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
        plain
    })
}

/// Where the inline links and pictures of a text lead.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        // What stands between backticks is code.
        let visible: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        for part in visible.split("](").skip(1) {
            if let Some((link, _)) = part.split_once(')') {
                links.push(link.split_whitespace().next().unwrap_or("").to_string());
            }
        }
    }
    links
}

/// The names under which links find a text's headings, as Git hosts and mdBook make them.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter(|line| line.starts_with('#'));
    titles
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The lines that are not in blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code() {
        let text =
            "See [a](a.md) and ![b](b.svg \"title\").\n```\n[no](no.md)\n```\nNot `[c](c.md)`, but [`d`](d.md#e).";
        assert_eq!(links(text), ["a.md", "b.svg", "d.md#e"]);
    }

    #[test]
    fn headings_are_found_by_the_names_of_their_anchors() {
        let expected = ["a-first-program", "what-it-reads-and-writes"].map(String::from);
        assert_eq!(headings("# A first program\n## What it reads, and writes\n```\n# a comment\n```"), expected.into());
    }

    #[test]
    fn a_broken_link_has_its_fault() {
        let page = Path::new("docs/models.md");
        for (link, wrong) in
            [("none.md", "no such file"), ("python.md#none", "no such heading"), ("../README.md", "leads out of docs/")]
        {
            assert!(fault(page, link).unwrap_or_default().is_some_and(|fault| fault.contains(wrong)), "{link}");
        }
        for link in ["python.md#troubleshooting", "#which-one", "https://example.org/none"] {
            assert_eq!(fault(page, link), Ok(None), "{link}");
        }
    }
}
