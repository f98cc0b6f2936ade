package dev.volary

import dev.volary.internal.Tokenizer as NativeTokenizer

/** Turns text into token ids and back. It comes with a model, or from a file. */
public class Tokenizer internal constructor(private val native: NativeTokenizer) : AutoCloseable {
    /** What kind it is: `world`, `bytes`, `hugging-face` or `vocabulary`. */
    public val name: String get() = call { native.name() }

    /** Its kind and size, or that it is closed. */
    override fun toString(): String = shown("Tokenizer") { "$name, $nVocab ids" }

    /** One more than the highest id. */
    public val nVocab: Int get() = call { native.nVocab() }.toInt()

    /** The token that ends a text, if there is one. */
    public val endOfText: Int? get() = call { native.endOfText() }?.toInt()

    /** The ids of a text. Text never turns into control tokens, whatever it says. */
    public fun encode(text: String): List<Int> = call { native.encode(text) }.ints()

    /** The ids of bytes that need not be UTF-8. */
    public fun encode(data: ByteArray): List<Int> = call { native.encodeBytes(data) }.ints()

    /** The text of some ids. Bytes that are not UTF-8 become U+FFFD. */
    public fun decode(ids: List<Int>): String = call { native.decode(ids.longs()) }

    /** The bytes that some ids stand for. */
    public fun decodeBytes(ids: List<Int>): ByteArray = call { native.decodeBytes(ids.longs()) }

    /** Every later call is an error; closing again is none. */
    override fun close() {
        native.release()
    }

    /** Makes tokenizers that come without a model. */
    public companion object {
        /** Opens a Hugging Face `tokenizer.json` or a World vocabulary; which it is, the content tells. */
        public fun open(path: String): Tokenizer = make { NativeTokenizer.open(path) }

        /** The RWKV World vocabulary, which is built in. */
        public fun world(): Tokenizer = make { NativeTokenizer.world() }

        /** Raw bytes: 256 ids, each its byte. */
        public fun rawBytes(): Tokenizer = make { NativeTokenizer.rawBytes() }

        /** The tokenizer of the model in a file, without loading the model. */
        public fun ofModel(path: String): Tokenizer = make { NativeTokenizer.ofModel(path) }

        private fun make(native: () -> NativeTokenizer): Tokenizer {
            Library.load()
            return Tokenizer(call(native))
        }
    }
}
