// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "examples",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "Volary", path: "../../../bindings/swift")],
    targets: [
        .executableTarget(name: "completion", dependencies: ["Volary", "Terminal"]),
        .executableTarget(name: "chat", dependencies: ["Volary", "Terminal"]),
        .target(name: "Terminal"),
    ]
)
