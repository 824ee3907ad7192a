//! A shim on its own, for tests: what `mainstay shim` does.

fn main() {
    std::process::exit(shim::run());
}
