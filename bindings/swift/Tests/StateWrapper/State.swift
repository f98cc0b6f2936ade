// In place of SwiftUI, which only Apple's systems have: a module with a property wrapper `State`.

/// As SwiftUI's.
@propertyWrapper
public struct State<Value> {
    public var wrappedValue: Value

    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}
