import Foundation

/// JSON whose numbers stay as they are written: Foundation's reader takes 1.0 for the integer 1.
enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(parsing text: String) throws {
        var reader = Reader(rest: Substring(text).utf8)
        self = try reader.value()
        guard reader.token.isEmpty else { throw Mistake("JSON goes on: \(reader.excerpt)") }
    }

    /// Any result, the properties of records by their names in `src/volary.udl`.
    init(describing value: Any?) {
        switch value {
        case let value as JSON: self = value
        case let value as String: self = .string(value)
        case let value as Bool: self = .bool(value)
        case let value as any BinaryInteger: self = .number("\(value)")
        case let value as Double: self = .number("\(value)")
        case let value as Float: self = .number("\(value)")
        // By its type, because an empty list of anything can be cast to one of these.
        case .some(let value) where type(of: value) == [Float].self: self = JSON.inShort(value as! [Float])
        case let value as [Any]: self = .array(value.map { JSON(describing: $0) })
        case let value as [String: Any?]: self = .object(value.mapValues { JSON(describing: $0) })
        case .some(let value):
            let mirror = Mirror(reflecting: value)
            if mirror.displayStyle == .optional {
                self = mirror.children.first.map { JSON(describing: $0.value) } ?? .null
            } else {
                let members = mirror.children.map { ($0.label!.snakeCase, JSON(describing: $0.value)) }
                self = .object(Dictionary(uniqueKeysWithValues: members))
            }
        case .none: self = .null
        }
    }

    /// Logits, or a state's numbers.
    private static func inShort(_ numbers: [Float]) -> JSON {
        JSON(
            describing: [
                "len": numbers.count, "argmax": numbers.max().flatMap(numbers.firstIndex),
                "head": numbers.prefix(4).map(Double.init),
            ] as [String: Any?])
    }

    /// What differs; `nil` if nothing does. Of objects only the members of `self` count.
    func difference(from found: JSON, at place: String = "the result") -> String? {
        switch (self, found) {
        case (.object(let wanted), .object(let found)):
            for (name, value) in wanted.sorted(by: { $0.key < $1.key }) {
                guard let member = found[name] else { return "\(place).\(name) is not there" }
                if let difference = value.difference(from: member, at: "\(place).\(name)") { return difference }
            }
            return nil
        case (.array(let wanted), .array(let found)):
            guard wanted.count == found.count else { return "\(place) has \(found.count) items, not \(wanted.count)" }
            for (index, (wanted, found)) in zip(wanted, found).enumerated() {
                if let difference = wanted.difference(from: found, at: "\(place)[\(index)]") { return difference }
            }
            return nil
        case (.object(let wanted), .number(let found)) where JSON.isAbove(found, wanted): return nil
        case (.number(let wanted), .number(let found)) where JSON.isClose(found, to: wanted): return nil
        default: return self == found ? nil : "\(place) is \(found), not \(self)"
        }
    }

    /// Whether a number is above that of `{"above": 0}`.
    private static func isAbove(_ found: String, _ expected: [String: JSON]) -> Bool {
        guard expected.count == 1, case .number(let least) = expected["above"] else { return false }
        return Double(found)! > Double(least)!
    }

    /// Integers are equal; numbers with a point may be a little off.
    private static func isClose(_ found: String, to wanted: String) -> Bool {
        if wanted == found { return true }
        guard wanted.contains(where: ".eE".contains), let wanted = Double(wanted), let found = Double(found) else {
            return false
        }
        return abs(found - wanted) <= 1e-4 * max(1, abs(wanted))
    }

    /// With `change` made in every text.
    func mapStrings(_ change: (String) -> String) -> JSON {
        switch self {
        case .string(let text): .string(change(text))
        case .array(let items): .array(items.map { $0.mapStrings(change) })
        case .object(let members): .object(members.mapValues { $0.mapStrings(change) })
        default: self
        }
    }
}

extension JSON: CustomStringConvertible {
    var description: String {
        switch self {
        case .null: return "null"
        case .bool(let value): return "\(value)"
        case .number(let text): return text
        case .string(let text):
            // Foundation knows what is to be escaped.
            let escaping = JSONEncoder()
            escaping.outputFormatting = .withoutEscapingSlashes
            return String(decoding: try! escaping.encode(text), as: UTF8.self)
        case .array(let items): return "[" + items.map(\.description).joined(separator: ", ") + "]"
        case .object(let members):
            let members = members.sorted { $0.key < $1.key }.map { "\(JSON.string($0)): \($1)" }
            return "{" + members.joined(separator: ", ") + "}"
        }
    }
}

/// Reads bytes, because a quotation mark and an accent after it are one character.
private struct Reader {
    var rest: Substring.UTF8View

    /// What comes after the white space.
    var token: Substring.UTF8View { rest.drop { " \n\r\t".utf8.contains($0) } }

    /// The beginning of it, for a message.
    var excerpt: Substring { Substring(token).prefix(40) }

    mutating func takes(_ text: String) -> Bool {
        guard token.starts(with: text.utf8) else { return false }
        rest = token.dropFirst(text.utf8.count)
        return true
    }

    mutating func expect(_ text: String) throws {
        guard takes(text) else { throw Mistake("JSON lacks \(text) before \(excerpt)") }
    }

    mutating func value() throws -> JSON {
        if takes("null") { return .null }
        if takes("true") { return .bool(true) }
        if takes("false") { return .bool(false) }
        switch token.first {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "["):
            var items: [JSON] = []
            try list("[", "]") { items.append(try $0.value()) }
            return .array(items)
        case UInt8(ascii: "{"):
            var members: [String: JSON] = [:]
            try list("{", "}") { reader in
                let name = try reader.string()
                try reader.expect(":")
                guard members.updateValue(try reader.value(), forKey: name) == nil else {
                    throw Mistake("JSON has \(name) twice")
                }
            }
            return .object(members)
        default:
            let digits = token.prefix { "+-.0123456789eE".utf8.contains($0) }
            let number = String(Substring(digits))
            guard Double(number) != nil else { throw Mistake("JSON has no value in \(excerpt)") }
            rest = token.dropFirst(digits.count)
            return .number(number)
        }
    }

    private mutating func list(_ open: String, _ close: String, _ item: (inout Reader) throws -> Void) throws {
        try expect(open)
        if takes(close) { return }
        repeat { try item(&self) } while takes(",")
        try expect(close)
    }

    private mutating func string() throws -> String {
        let quote = UInt8(ascii: "\"")
        let text = token
        guard text.first == quote else { throw Mistake("JSON lacks a text before \(excerpt)") }
        var end = text.index(after: text.startIndex)
        while end < text.endIndex, text[end] != quote {
            let step = text[end] == UInt8(ascii: "\\") ? 2 : 1
            end = text.index(end, offsetBy: step, limitedBy: text.endIndex) ?? text.endIndex
        }
        guard end < text.endIndex else { throw Mistake("JSON has a text without end") }
        rest = text[text.index(after: end)...]
        return try JSONDecoder().decode(String.self, from: Data(text[...end]))
    }
}

extension String {
    /// `maxTokens` as `max_tokens`.
    var snakeCase: String { reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) } }
}
