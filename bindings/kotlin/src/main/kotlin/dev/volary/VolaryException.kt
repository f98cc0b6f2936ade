package dev.volary

import dev.volary.internal.VolaryException as NativeException

/** Why a call failed, by kind. The message is one line: what was wrong, where, and what to do. */
public sealed class VolaryException(message: String) : Exception(message) {
    /** There is no such file. */
    public class NotFound(message: String) : VolaryException(message)

    /** A file could not be opened, read or written. */
    public class Io(message: String) : VolaryException(message)

    /** A file is damaged, or is not what it was given as. */
    public class Format(message: String) : VolaryException(message)

    /** The input is sound, but this version of Volary cannot use it. */
    public class Unsupported(message: String) : VolaryException(message)

    /** Two things that must belong together do not: a model and a tokenizer, a model and a state. */
    public class Mismatch(message: String) : VolaryException(message)

    /** An argument or option is outside what it may be. */
    public class InvalidArgument(message: String) : VolaryException(message)

    /** The work was cancelled. */
    public class Cancelled(message: String) : VolaryException(message)

    /** The object was closed. */
    public class Closed(message: String) : VolaryException(message)

    /** Another call is using the object. */
    public class Busy(message: String) : VolaryException(message)

    /** A fault of Volary itself. */
    public class Internal(message: String) : VolaryException(message)
}

internal fun translated(error: NativeException): VolaryException {
    val message = error.message ?: ""
    return when (error) {
        is NativeException.NotFound -> VolaryException.NotFound(message)
        is NativeException.Io -> VolaryException.Io(message)
        is NativeException.Format -> VolaryException.Format(message)
        is NativeException.Unsupported -> VolaryException.Unsupported(message)
        is NativeException.Mismatch -> VolaryException.Mismatch(message)
        is NativeException.InvalidArgument -> VolaryException.InvalidArgument(message)
        is NativeException.Cancelled -> VolaryException.Cancelled(message)
        is NativeException.Closed -> VolaryException.Closed(message)
        is NativeException.Busy -> VolaryException.Busy(message)
        is NativeException.Internal -> VolaryException.Internal(message)
    }
}
