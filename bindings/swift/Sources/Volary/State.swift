import Foundation
internal import VolaryGenerated

extension Model {
    /// What a model remembers of a text: of fixed size, however long the text. It belongs to the model's weights.
    ///
    /// Nested, because every SwiftUI file already has a `State`.
    public final class State: Sendable {
        let native: VolaryGenerated.State

        init(_ native: VolaryGenerated.State) { self.native = native }

        /// Loads a state of `model` that ``save(_:)`` wrote.
        public static func load(_ model: Model, path: String) throws -> State {
            State(try call { try VolaryGenerated.State.load(model: model.native, path: path) })
        }

        /// A state from what ``toBytes()`` gave. Whether it is of the right model is checked when it is used.
        public static func fromBytes(_ data: Data) throws -> State {
            State(try call { try VolaryGenerated.State.fromBytes(data: data) })
        }

        /// A state of `model` from numbers in rwkv.cpp's layout.
        public static func fromFloats(_ model: Model, _ floats: [Float]) throws -> State {
            let data = floats.withUnsafeBytes { Data($0) }
            return State(try call { try VolaryGenerated.State.fromFloats(model: model.native, floats: data) })
        }

        /// A copy that goes its own way.
        public func clone() throws -> State { State(try call(native.duplicate)) }

        /// Saves the state. The file appears under its name only when it is complete.
        public func save(_ path: String) throws { try call { try native.save(path: path) } }

        /// The state in Volary's file form.
        public func toBytes() throws -> Data { try call(native.toBytes) }

        /// The state in rwkv.cpp's layout.
        public func toFloats() throws -> [Float] { floats(try call(native.toFloats)) }

        /// Frees the memory now, rather than when the state is no longer referred to. Every later call is an error.
        public func close() { native.release() }
    }
}
