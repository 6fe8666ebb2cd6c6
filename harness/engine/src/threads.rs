//! Waiting for threads from an async context, without blocking it.

use std::thread::JoinHandle;
use std::time::Duration;

/// Waits for threads without blocking the run's own.
pub(crate) async fn join_all<T: Send + 'static>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut ended = Vec::new();
    for thread in threads {
        if let Some(value) = join(thread).await {
            ended.push(value);
        }
    }
    ended
}

/// Waits for one thread; `None` when it panicked.
pub(crate) async fn join<T: Send + 'static>(thread: JoinHandle<T>) -> Option<T> {
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A panic is a bug of ours: the run counts the thread as lost, and is judged inconclusive. Its
    // message is on stderr.
    thread.join().ok()
}
