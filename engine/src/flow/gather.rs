//! Gathers what several callers want written at the same moment, so that they
//! share statements and one commit. A lone caller does not wait for others, and
//! a batch that fails is repeated one by one: nobody suffers for a neighbour.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;

/// No room to wait in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

struct Waiting<T, R> {
    item: T,
    answer: oneshot::Sender<Result<R, StoreError>>,
}

/// The way to one gathering task, cheap to clone.
pub(super) struct Gather<T, R>(mpsc::Sender<Waiting<T, R>>);

impl<T, R> Clone for Gather<T, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, R> Gather<T, R>
where
    T: Clone + Send + Sync + 'static,
    R: Send + 'static,
{
    /// `write` gets at most `batch_max` items and answers one result for each, in their order; `waiting_max` more may
    /// wait. Ends with its last sender.
    pub(super) fn start<W, F>(waiting_max: usize, batch_max: usize, write: W) -> Self
    where
        W: Fn(Arc<Vec<T>>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<R>, StoreError>> + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(waiting_max);
        tokio::spawn(gather(queue, batch_max, write));
        Self(sender)
    }

    /// Answers once the item is written. Waits for room.
    pub(super) async fn put(&self, item: T) -> Result<R, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Waiting { item, answer }).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Like [`Gather::put`], but refuses at once when there is no room.
    pub(super) async fn try_put(&self, item: T) -> Result<Result<R, StoreError>, Full> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Waiting { item, answer }).map_err(|_| Full)?;
        Ok(answered.await.unwrap_or(Err(StoreError::Closed)))
    }
}

async fn gather<T, R, W, F>(mut queue: mpsc::Receiver<Waiting<T, R>>, batch_max: usize, write: W)
where
    T: Clone,
    W: Fn(Arc<Vec<T>>) -> F,
    F: Future<Output = Result<Vec<R>, StoreError>>,
{
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, batch_max).await > 0 {
        let (items, answers): (Vec<_>, Vec<_>) = waiting.drain(..).map(|it| (it.item, it.answer)).unzip();
        let items = Arc::new(items);
        match write(items.clone()).await {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(Ok(result)); // the caller has gone; it is written all the same
                }
            }
            Err(error) if items.len() == 1 => {
                if let Some(answer) = answers.into_iter().next() {
                    let _ = answer.send(Err(error));
                }
            }
            Err(_) => {
                for (item, answer) in items.iter().zip(answers) {
                    let alone = write(Arc::new(vec![item.clone()])).await;
                    let first =
                        alone.and_then(|results| results.into_iter().next().ok_or(StoreError::Closed));
                    let _ = answer.send(first);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_together_is_written_together_and_a_bad_one_fails_alone() {
        let (seen, mut batches) = mpsc::unbounded_channel();
        let gather = Gather::start(8, 8, move |items: Arc<Vec<u32>>| {
            let seen = seen.clone();
            async move {
                seen.send(items.to_vec()).unwrap();
                if items.contains(&13) {
                    return Err(StoreError::Closed);
                }
                Ok(items.iter().map(|item| item * 2).collect())
            }
        });
        let (a, b, c) = tokio::join!(gather.put(1), gather.put(13), gather.try_put(3));
        assert_eq!((a.unwrap(), b.is_err(), c.unwrap().unwrap()), (2, true, 6));
        let mut order = Vec::new();
        while let Ok(batch) = batches.try_recv() {
            order.push(batch);
        }
        assert_eq!(order, [vec![1, 13, 3], vec![1], vec![13], vec![3]]);
    }

    #[tokio::test]
    async fn without_room_it_refuses() {
        let gather = Gather::start(1, 1, |items: Arc<Vec<u32>>| async move {
            std::future::pending::<()>().await;
            Ok(items.to_vec())
        });
        let (working, waiting) = (gather.clone(), gather.clone());
        tokio::spawn(async move { working.put(1).await });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        tokio::spawn(async move { waiting.put(2).await });
        tokio::task::yield_now().await;
        assert_eq!(gather.try_put(3).await.unwrap_err(), Full);
    }
}
