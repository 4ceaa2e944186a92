//! Compiles the contract in pure Rust: nobody needs protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost_reflect::prost::Message;

const ROOT: &str = "safeguarding";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let mut files = Vec::new();
    find_protos(PathBuf::from(ROOT), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let mut contract = compiler.file_descriptor_set();

    tonic_prost_build::configure()
        // No message of ours can be printed: it may be about a child.
        .skip_debug(["."])
        .emit_rerun_if_changed(false)
        .compile_fds(contract.clone())?;

    // Reflection and the JSON mapping need the shapes, not the comments.
    contract.file.iter_mut().for_each(|file| file.source_code_info = None);
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("safeguarding.binpb"), contract.encode_to_vec())?;
    Ok(())
}

fn find_protos(folder: PathBuf, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}
