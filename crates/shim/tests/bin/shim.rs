//! A shim on its own, for tests: what `mainstay shim` does.

fn main() {
    let is_app = std::env::args_os().nth(1).is_some_and(|verb| verb == shim::CONFINED);
    std::process::exit(if is_app { shim::confined() } else { shim::run() });
}
