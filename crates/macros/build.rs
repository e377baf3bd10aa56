//! Tells the macros where to write generated code that a compiler reads from a file.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = std::env::var("OUT_DIR").unwrap_or_default();
    println!("cargo:rustc-env=GENERATED_CODE={folder}");
}
