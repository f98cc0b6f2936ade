internal import VolaryGenerated

/// Options of a generation. `nil` means what RWKV's author recommends for the kind of model.
public struct GenerateOptions: Sendable {
    /// At most so many tokens.
    public var maxTokens: Int
    /// 0 or more; 0 always takes the likeliest token.
    public var temperature: Double?
    /// 0 to 1; 1 keeps all tokens.
    public var topP: Double?
    /// Keeps at most so many tokens; 0 for no limit.
    public var topK: Int?
    /// 0 to 1; drops tokens less likely than this fraction of the likeliest.
    public var minP: Double?
    /// Taken from the logit of each token generated before.
    public var presencePenalty: Double?
    /// Taken from a token's logit for each time it was generated.
    public var frequencyPenalty: Double?
    /// 0 to 1; what the counts of the frequency penalty are multiplied by at each step.
    public var penaltyDecay: Double?
    /// Above 0; divides positive logits, and multiplies negative ones, of tokens generated before. 1: off.
    public var repetitionPenalty: Double?
    /// The same seed gives the same text; `nil`: a fresh one each time, to be read from the statistics.
    public var seed: UInt64?
    /// Texts that end the generation and are not part of it.
    public var stop: [String]
    /// Tokens that end the generation and are not part of it, beside the end-of-text token.
    public var stopTokens: [Int]
    /// Never generates the end-of-text token.
    public var ignoreEos: Bool
    /// Tokens never to generate.
    public var bannedTokens: [Int]
    /// Added to the logits of these tokens.
    public var logitBias: [Int: Double]
    /// Reports each token's log-probability and those of so many likeliest alternatives (0 to 100).
    public var logprobs: Int?
    /// Goes on from this state instead of from nothing. It stays as it is.
    public var state: Model.State?

    public init(
        maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil, minP: Double? = nil,
        presencePenalty: Double? = nil, frequencyPenalty: Double? = nil, penaltyDecay: Double? = nil,
        repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [], stopTokens: [Int] = [],
        ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:], logprobs: Int? = nil,
        state: Model.State? = nil
    ) {
        self.maxTokens = maxTokens
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.penaltyDecay = penaltyDecay
        self.repetitionPenalty = repetitionPenalty
        self.seed = seed
        self.stop = stop
        self.stopTokens = stopTokens
        self.ignoreEos = ignoreEos
        self.bannedTokens = bannedTokens
        self.logitBias = logitBias
        self.logprobs = logprobs
        self.state = state
    }

    var native: VolaryGenerated.GenerateOptions {
        VolaryGenerated.GenerateOptions(
            maxTokens: Int64(maxTokens), temperature: temperature, topP: topP, topK: topK.map(Int64.init), minP: minP,
            presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
            repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens.map(Int64.init),
            ignoreEos: ignoreEos, bannedTokens: bannedTokens.map(Int64.init),
            logitBias: logitBias.map { TokenBias(token: Int64($0), bias: $1) }, logprobs: logprobs.map(Int64.init),
            state: state?.native)
    }
}

/// A file of trained additions to a model: a LoRA, PiSSA, DiSHA or Bone.
public struct Lora: Sendable {
    /// The file as the trainer saved it: `.pth` or `.safetensors`.
    public var path: String
    /// The training's `lora_alpha`. A LoRA needs it; the other kinds have none.
    public var alpha: Double?
    /// The initial values that PiSSA saves when training begins.
    public var pissaInit: String?

    public init(path: String, alpha: Double? = nil, pissaInit: String? = nil) {
        self.path = path
        self.alpha = alpha
        self.pissaInit = pissaInit
    }

    var native: LoraFile { LoraFile(path: path, alpha: alpha, pissaInit: pissaInit) }
}
