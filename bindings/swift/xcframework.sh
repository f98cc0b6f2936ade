#!/usr/bin/env bash
# Builds CVolary.xcframework: the static library for macOS, iOS and iOS simulators, with the generated header. Package.swift
# takes it in place of the system library when it is here. Needs macOS with Xcode, and Rust with the targets below:
#
#   rustup target add aarch64-apple-darwin x86_64-apple-darwin aarch64-apple-ios aarch64-apple-ios-sim
#   bindings/swift/xcframework.sh
#
# Written on Linux, where xcodebuild does not exist: the Rust half is type-checked there (.ci/check-targets), the rest of
# this file has not been run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() { printf 'xcframework: %s\n' "$1" >&2; exit 1; }
command -v xcodebuild >/dev/null || fail "xcodebuild is not here; this needs macOS with Xcode"

for target in aarch64-apple-darwin x86_64-apple-darwin aarch64-apple-ios aarch64-apple-ios-sim; do
    cargo rustc --profile dist --package volary --lib --crate-type staticlib --no-default-features --features ffi \
        --target "$target"
done
cargo xtask generate-swift

# A folder of headers goes into the framework as it is, with a module map of the name that clang looks for.
headers=target/bindings/swift/headers
rm -rf "$headers"
mkdir -p "$headers"
cp bindings/swift/Sources/CVolary/CVolary.h "$headers"
printf 'module CVolary {\n    header "CVolary.h"\n    export *\n}\n' >"$headers/module.modulemap"

mkdir -p target/bindings/swift/macos
lipo -create -output target/bindings/swift/macos/libvolary.a \
    target/aarch64-apple-darwin/dist/libvolary.a target/x86_64-apple-darwin/dist/libvolary.a

framework=bindings/swift/CVolary.xcframework
rm -rf "$framework"
xcodebuild -create-xcframework -output "$framework" \
    -library target/bindings/swift/macos/libvolary.a -headers "$headers" \
    -library target/aarch64-apple-ios/dist/libvolary.a -headers "$headers" \
    -library target/aarch64-apple-ios-sim/dist/libvolary.a -headers "$headers"
(cd bindings/swift && zip --quiet --recurse-paths CVolary.xcframework.zip CVolary.xcframework)
printf 'checksum for .binaryTarget(url:checksum:): %s\n' \
    "$(swift package --package-path bindings/swift compute-checksum bindings/swift/CVolary.xcframework.zip)"
