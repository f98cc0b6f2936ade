import Foundation
internal import VolaryGenerated

/// Turns text into token ids and back. It comes with a model, or from a file.
public final class Tokenizer: Sendable {
    let native: VolaryGenerated.Tokenizer

    init(_ native: VolaryGenerated.Tokenizer) { self.native = native }

    /// Opens a Hugging Face `tokenizer.json` or a World vocabulary; which it is, the content tells.
    public static func open(_ path: String) throws -> Tokenizer {
        Tokenizer(try call { try VolaryGenerated.Tokenizer.open(path: path) })
    }

    /// The RWKV World vocabulary, which is built in.
    public static func world() throws -> Tokenizer { Tokenizer(try call(VolaryGenerated.Tokenizer.world)) }

    /// Raw bytes: 256 ids, each its byte.
    public static func rawBytes() throws -> Tokenizer { Tokenizer(try call(VolaryGenerated.Tokenizer.rawBytes)) }

    /// The tokenizer of the model in a file, without loading the model.
    public static func ofModel(_ path: String) throws -> Tokenizer {
        Tokenizer(try call { try VolaryGenerated.Tokenizer.ofModel(path: path) })
    }

    /// What kind it is: `world`, `bytes`, `hugging-face` or `vocabulary`.
    public var name: String { get throws { try call(native.name) } }

    /// One more than the highest id.
    public var nVocab: Int { get throws { Int(try call(native.nVocab)) } }

    /// The token that ends a text, if there is one.
    public var endOfText: Int? { get throws { try call(native.endOfText).map(Int.init) } }

    /// The ids of a text. Text never turns into control tokens, whatever it says.
    public func encode(_ text: String) throws -> [Int] { try call { try native.encode(text: text) }.map(Int.init) }

    /// The ids of bytes that need not be UTF-8.
    public func encode(_ data: Data) throws -> [Int] { try call { try native.encodeBytes(data: data) }.map(Int.init) }

    /// The text of some ids. Bytes that are not UTF-8 become U+FFFD.
    public func decode(_ ids: [Int]) throws -> String { try call { try native.decode(ids: ids.map(Int64.init)) } }

    /// The bytes that some ids stand for.
    public func decodeBytes(_ ids: [Int]) throws -> Data {
        try call { try native.decodeBytes(ids: ids.map(Int64.init)) }
    }

    /// Closes the tokenizer: every later call is an error.
    public func close() { native.release() }
}
