//! Other programs, and where things are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A failure is a line for a person.
pub type Result<T = ()> = std::result::Result<T, String>;

/// Runs a program, whose output the terminal shows.
pub fn run(command: &mut Command) -> Result {
    let line: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|part| part.to_string_lossy()).collect();
    let line = line.join(" ");
    hide_own_builds(command);
    match command.current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed ({status})")),
        Err(error) => Err(format!("`{line}` could not be started: {error}")),
    }
}

/// Cargo lets what it runs find libraries in its build folder. A test of a package would load the `libvolary.so` there instead
/// of the package's own.
fn hide_own_builds(command: &mut Command) {
    const VARIABLE: &str = "LD_LIBRARY_PATH";
    let Some(paths) = std::env::var_os(VARIABLE) else { return };
    if command.get_envs().any(|(name, _)| name == VARIABLE) {
        return;
    }
    let others = std::env::split_paths(&paths).filter(|path| !path.starts_with(root()));
    match std::env::join_paths(others) {
        Ok(paths) if !paths.is_empty() => command.env(VARIABLE, paths),
        _ => command.env_remove(VARIABLE),
    };
}

/// The cargo that runs this, which may not be the first one on the path.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// No further arguments.
pub const NONE: &[&str] = &[];

pub fn run_cargo(arguments: &[&str], rest: &[impl AsRef<str>]) -> Result {
    run(cargo().args(arguments).args(rest.iter().map(AsRef::as_ref)))
}

/// Whether a program can be started.
pub fn is_there(program: &str) -> bool {
    let command = &mut Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Whether the tree that `.ci/trixie` makes has some of its packages.
pub fn tree(packages: &str) -> bool {
    let folder = std::env::var("VOLARY_TRIXIE").unwrap_or_else(|_| "/var/tmp/volary-trixie".into());
    Path::new(&folder).join("root/var/lib/volary").join(packages).exists()
}

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A path in the checkout.
pub fn at(path: &str) -> PathBuf {
    root().join(path)
}
