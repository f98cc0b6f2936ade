import Foundation
internal import VolaryGenerated

/// Told which fraction of the work is done, from 0 to 1, on a thread of the library's. First it is told 0, before anything
/// is done: who cancels the task then is in time, however small the work.
public typealias Progress = @Sendable (_ fraction: Double) -> Void

/// Waits for a job on a thread that may block. Cancelling the task cancels the job.
func outcome(_ progress: Progress?, _ start: () throws -> LongJob) async throws -> Outcome {
    let job = try call(start)
    do {
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Outcome, any Error>) in
                DispatchQueue.global().async {
                    // The job begins when it is first asked: who cancels here finds that nothing was done.
                    progress?(0)
                    while let fraction = job.progress(milliseconds: 100) {
                        progress?(fraction)
                    }
                    let result = Result { try call(job.result) }
                    if case .success = result { progress?(1) }
                    continuation.resume(with: result)
                }
            }
        } onCancel: {
            job.cancel()
        }
    } catch VolaryError.cancelled where Task.isCancelled {
        throw CancellationError()
    }
}

/// The value that the library promised.
func unexpected(_ outcome: Outcome) -> VolaryError {
    .internal("volary: a job ended with another kind of result: \(outcome)")
}
