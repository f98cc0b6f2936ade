// The options by their names, in place of a GenerateOptions: what most callers type.

extension Model {
    /// A text that continues `prompt`. The options are those of ``GenerateOptions``.
    public func generate(
        _ prompt: String, maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil,
        minP: Double? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        penaltyDecay: Double? = nil, repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [],
        stopTokens: [Int] = [], ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:],
        logprobs: Int? = nil, state: Model.State? = nil
    ) -> Generation {
        generate(
            prompt,
            options: GenerateOptions(
                maxTokens: maxTokens, temperature: temperature, topP: topP, topK: topK, minP: minP,
                presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
                repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens,
                ignoreEos: ignoreEos, bannedTokens: bannedTokens, logitBias: logitBias, logprobs: logprobs,
                state: state))
    }

    /// A text that continues the tokens of `prompt`. The options are those of ``GenerateOptions``.
    public func generate(
        _ prompt: [Int], maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil,
        minP: Double? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        penaltyDecay: Double? = nil, repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [],
        stopTokens: [Int] = [], ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:],
        logprobs: Int? = nil, state: Model.State? = nil
    ) -> Generation {
        generate(
            prompt,
            options: GenerateOptions(
                maxTokens: maxTokens, temperature: temperature, topP: topP, topK: topK, minP: minP,
                presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
                repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens,
                ignoreEos: ignoreEos, bannedTokens: bannedTokens, logitBias: logitBias, logprobs: logprobs,
                state: state))
    }

    /// The whole text that continues `prompt`. The options are those of ``GenerateOptions``.
    public func complete(
        _ prompt: String, maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil,
        minP: Double? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        penaltyDecay: Double? = nil, repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [],
        stopTokens: [Int] = [], ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:],
        logprobs: Int? = nil, state: Model.State? = nil
    ) async throws -> Completion {
        try await complete(
            prompt,
            options: GenerateOptions(
                maxTokens: maxTokens, temperature: temperature, topP: topP, topK: topK, minP: minP,
                presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
                repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens,
                ignoreEos: ignoreEos, bannedTokens: bannedTokens, logitBias: logitBias, logprobs: logprobs,
                state: state))
    }

    /// The texts that continue several prompts. The options are those of ``GenerateOptions``.
    public func completeBatch(
        _ prompts: [String], maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil,
        topK: Int? = nil, minP: Double? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        penaltyDecay: Double? = nil, repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [],
        stopTokens: [Int] = [], ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:],
        logprobs: Int? = nil, state: Model.State? = nil
    ) async throws -> [Completion] {
        try await completeBatch(
            prompts,
            options: GenerateOptions(
                maxTokens: maxTokens, temperature: temperature, topP: topP, topK: topK, minP: minP,
                presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
                repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens,
                ignoreEos: ignoreEos, bannedTokens: bannedTokens, logitBias: logitBias, logprobs: logprobs,
                state: state))
    }
}

extension Chat {
    /// Says `text` when the reply is iterated. The options are those of ``GenerateOptions``.
    public func send(
        _ text: String, maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil,
        minP: Double? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        penaltyDecay: Double? = nil, repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [],
        stopTokens: [Int] = [], ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:],
        logprobs: Int? = nil
    ) -> Generation {
        send(
            text,
            options: GenerateOptions(
                maxTokens: maxTokens, temperature: temperature, topP: topP, topK: topK, minP: minP,
                presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
                repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens,
                ignoreEos: ignoreEos, bannedTokens: bannedTokens, logitBias: logitBias, logprobs: logprobs))
    }

    /// Replaces the last reply by another one. The options are those of ``GenerateOptions``.
    public func retry(
        maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil,
        minP: Double? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        penaltyDecay: Double? = nil, repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [],
        stopTokens: [Int] = [], ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:],
        logprobs: Int? = nil
    ) -> Generation {
        retry(
            options: GenerateOptions(
                maxTokens: maxTokens, temperature: temperature, topP: topP, topK: topK, minP: minP,
                presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
                repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens,
                ignoreEos: ignoreEos, bannedTokens: bannedTokens, logitBias: logitBias, logprobs: logprobs))
    }

    /// As `retry`, keeping the former reply. The options are those of ``GenerateOptions``.
    public func alternate(
        maxTokens: Int = 256, temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil,
        minP: Double? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        penaltyDecay: Double? = nil, repetitionPenalty: Double? = nil, seed: UInt64? = nil, stop: [String] = [],
        stopTokens: [Int] = [], ignoreEos: Bool = false, bannedTokens: [Int] = [], logitBias: [Int: Double] = [:],
        logprobs: Int? = nil
    ) -> Generation {
        alternate(
            options: GenerateOptions(
                maxTokens: maxTokens, temperature: temperature, topP: topP, topK: topK, minP: minP,
                presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyDecay: penaltyDecay,
                repetitionPenalty: repetitionPenalty, seed: seed, stop: stop, stopTokens: stopTokens,
                ignoreEos: ignoreEos, bannedTokens: bannedTokens, logitBias: logitBias, logprobs: logprobs))
    }
}
