//! Compose files into one [`Project`](super::Project).
