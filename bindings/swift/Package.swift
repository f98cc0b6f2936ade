// swift-tools-version: 6.0
import Foundation
import PackageDescription

// `cargo xtask generate-swift` first: it writes VolaryGenerated.swift, CVolary.h, the native library and the demo
// model, which are not committed here. On Apple systems the XCFramework that xcframework.sh makes stands in for the system library.
let framework = "CVolary.xcframework"
let isThere = FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/\(framework)")
let native: Target =
    isThere ? .binaryTarget(name: "CVolary", path: framework) : .systemLibrary(name: "CVolary")

let package = Package(
    name: "Volary",
    platforms: [.macOS(.v13), .iOS(.v16)],
    products: [.library(name: "Volary", targets: ["Volary"])],
    targets: [
        native,
        // UniFFI's code is not written for Swift 6's checks; nothing of it can be seen from outside.
        .target(name: "VolaryGenerated", dependencies: ["CVolary"], swiftSettings: [.swiftLanguageMode(.v5)]),
        .target(name: "Volary", dependencies: ["VolaryGenerated"], resources: [.copy("demo.gguf")]),
        .target(name: "StateWrapper", path: "Tests/StateWrapper"),
        .testTarget(
            name: "VolaryTests", dependencies: ["Volary", "StateWrapper"], exclude: ["Conformance/every-verb.json"]),
        // Run on demand.
        .executableTarget(name: "stress", dependencies: ["Volary"], path: "stress"),
        .executableTarget(name: "overhead", dependencies: ["Volary"], path: "overhead"),
    ]
)
