//! Generates the Rust half of `src/volary.udl`, and puts the demo model where maturin finds it.

fn main() {
    #[cfg(feature = "ffi")]
    for_other_languages();
}

#[cfg(feature = "ffi")]
fn for_other_languages() {
    const DEMO: &str = "models/demo.gguf";
    if let Err(error) = uniffi::generate_scaffolding("src/volary.udl") {
        panic!("src/volary.udl: {error:#}");
    }
    println!("cargo::rerun-if-changed={DEMO}");
    // maturin takes files from below bindings/python and from the folder of this script's output. A link below
    // bindings/python would not survive a checkout on Windows.
    let copied = std::env::var("OUT_DIR").map(|out| std::fs::copy(DEMO, std::path::Path::new(&out).join("demo.gguf")));
    if let Ok(Err(error)) = copied {
        panic!("{DEMO}: {error}");
    }
}
