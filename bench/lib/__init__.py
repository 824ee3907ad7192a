"""What the benchmarks share: a sandbox of namespaces, today's peers, load, and figures. See ../README.md."""
