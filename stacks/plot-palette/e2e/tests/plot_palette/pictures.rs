//! Pictures for uploads, made by the stack's own Pillow.

use crate::stage::Stage;
use std::path::PathBuf;
use std::process::Command;

/// The five bands: colour and width in pixels, of 100.
pub const BANDS: [(&str, u32); 5] =
    [("#264653", 40), ("#2A9D8F", 25), ("#E9C46A", 20), ("#F4A261", 10), ("#E76F51", 5)];

/// Makes them in a folder of the sandbox, once.
#[track_caller]
pub fn folder(stage: &Stage) -> PathBuf {
    let folder = stage.sandbox.folder().join("pictures");
    if !folder.is_dir() {
        std::fs::create_dir(&folder).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plot_palette/pictures.py");
        let output = Command::new(stage.python())
            .arg("-B")
            .arg(script)
            .arg(&folder)
            .arg(stage.sandbox.stack().join("image/catalogue.json"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    folder
}

/// One of them.
#[track_caller]
pub fn read(stage: &Stage, name: &str) -> Vec<u8> {
    std::fs::read(folder(stage).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
