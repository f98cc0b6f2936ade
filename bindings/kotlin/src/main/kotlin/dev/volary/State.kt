package dev.volary

import dev.volary.internal.State as NativeState

/**
 * What a model remembers of a text: of fixed size, however long the text. It belongs to the model's weights.
 *
 * A state is used by one call at a time; a second call meanwhile is an error, not a wait. It holds megabytes that the
 * JVM's collector does not see: close those that are no longer wanted, and in loops prefer [Model.decode], which
 * moves one state on, to [Model.eval], which makes a new one each time.
 */
public class State internal constructor(internal val native: NativeState) : AutoCloseable {
    /** A copy that goes its own way. */
    public fun clone(): State = State(call { native.duplicate() })

    /** Saves the state. The file appears under its name only when it is complete. */
    public fun save(path: String): Unit = call { native.save(path) }

    /** The state in Volary's file form. */
    public fun toBytes(): ByteArray = call { native.toBytes() }

    /** The state in rwkv.cpp's layout. */
    public fun toFloats(): FloatArray = call { native.toFloats() }.floats()

    /** Frees the memory. Every later call is an error; closing again is none. */
    override fun close() {
        // Not destroy(): a destroyed object's pointer is still followed when the object is an argument of a call.
        native.release()
    }

    /** Makes states from what was saved. */
    public companion object {
        /** Loads a state of [model] that [save] wrote. */
        public fun load(model: Model, path: String): State = State(call { NativeState.load(model.native, path) })

        /** A state from what [toBytes] gave. Whether it is of the right model is checked when it is used. */
        public fun fromBytes(data: ByteArray): State {
            Library.load()
            return State(call { NativeState.fromBytes(data) })
        }

        /** A state of [model] from numbers in rwkv.cpp's layout. */
        public fun fromFloats(model: Model, floats: FloatArray): State =
            State(call { NativeState.fromFloats(model.native, floats.bytes()) })
    }
}
