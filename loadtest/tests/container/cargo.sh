#!/bin/sh
# Stands in for cargo in the image that the Dockerfile builds in: is told what to build, has what the build needs and
# nothing that it does not, and puts a binary where cargo would.
set -eu
test "$*" = 'build --release --locked --package fanout --bin fanout'
for file in Cargo.toml Cargo.lock README.md src/main.rs src/README.md benches/nanoseconds.rs \
  loadtest/Cargo.toml loadtest/src/main.rs; do
  test -f "$file"
done
for unwanted in .git deploy target/debug; do
  test ! -e "$unwanted"
done
mkdir -p target/release
cp /usr/local/bin/fanout target/release/fanout
