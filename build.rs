//! Generates the Rust half of `src/volary.udl`.

fn main() {
    #[cfg(feature = "ffi")]
    if let Err(error) = uniffi::generate_scaffolding("src/volary.udl") {
        panic!("src/volary.udl: {error:#}");
    }
}
