//! Tasks beside a node's turn, and their turn.

use super::Ear;
use futures_lite::future::{poll_once, yield_now};
use glommio::Task;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Notices that a task has run: when it was polled, and when it was cancelled.
struct Notice(Ear);

impl Notice {
    fn has_run(&self) {
        self.0.0.has_run.set(true);
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.has_run();
    }
}

impl Ear {
    /// Starts a task on this thread's executor.
    pub fn spawn<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> Task<T> {
        let notice = Notice(self.clone());
        glommio::spawn_local(async move {
            let mut task = pin!(task);
            poll_fn(|context| {
                notice.has_run();
                task.as_mut().poll(context)
            })
            .await
        })
    }

    /// Lets every task run that is ready; says whether there was one. After `false` nothing happens until something is
    /// heard.
    pub(crate) async fn let_tasks_run(&self) -> bool {
        self.0.has_run.set(false);
        yield_now().await;
        self.0.has_run.get()
    }

    /// Listens until `task` is done: the whole of a node that has no sockets of its own.
    pub async fn hear_until<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let mut task = self.spawn(task);
        let mut nobody = Vec::new();
        loop {
            let has_run = self.let_tasks_run().await;
            if let Some(outcome) = poll_once(&mut task).await {
                return outcome;
            }
            let patience = has_run.then_some(Duration::ZERO);
            self.listen(patience, &mut nobody).expect("the epoll set is valid");
        }
    }

    /// Does on a thread of its own what would block this one.
    ///
    /// # Errors
    /// Where there is no descriptor or thread left for it, or it panics.
    pub async fn elsewhere<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (near, far) = UnixStream::pair()?;
        let end = self.watch(near)?;
        let (outcome, done) = mpsc::channel();
        thread::Builder::new().name("elsewhere".to_owned()).spawn(move || {
            // Nobody may be waiting any more.
            let _ = outcome.send(work());
            drop(far);
        })?;
        end.readable().await;
        done.recv().map_err(io::Error::other)
    }
}
