//! How this program is started again, as keeper, edge or shim.

use std::io;
use std::path::PathBuf;

/// Its path. Another user must be able to execute it too (the edge is not root): where the path leads through a folder that
/// only root may enter, the kernel's own link to the running program stands in for it.
pub fn path() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let hidden = sys::user::is_root() && crate::reach::edge_cannot_enter(&path);
    Ok(if hidden { PathBuf::from("/proc/self/exe") } else { path })
}
