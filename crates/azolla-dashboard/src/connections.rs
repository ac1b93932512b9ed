//! The connections that are open: only so many, and none for ever.
//!
//! Each takes a descriptor of the program that is watched. So when there is one more than [`MOST`],
//! the one that has been silent the longest goes; and one that asks for nothing goes after [`IDLE`].
//! So does an event stream whose reader takes nothing in.

use axum::{Extension, Router};
use futures_util::future::select;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

/// The most connections that are open at once.
const MOST: usize = 64;
/// How long one may be silent.
const IDLE: Duration = Duration::from_secs(60);
/// How long to wait when the system has no descriptor to give.
const AGAIN: Duration = Duration::from_millis(250);

/// An open connection.
#[derive(Clone)]
pub(crate) struct Seat(Arc<Inner>);

struct Inner {
    /// When a request came in, or a part of an answer was taken.
    touched: Mutex<Instant>,
    leave: Notify,
}

/// The connections that are open, in no order.
#[derive(Default)]
struct Seats(Mutex<Vec<Seat>>);

/// Answers requests, each connection on a task of its own, for as long as the runtime lives.
pub(crate) async fn serve(listener: TcpListener, routes: Router) {
    let seats = Arc::new(Seats::default());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(AGAIN).await;
            continue;
        };
        let (seat, seats) = (seats.take(), Arc::clone(&seats));
        let routes = routes.clone().layer(Extension(seat.clone()));
        tokio::spawn(async move {
            let service = TowerToHyperService::new(routes);
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error of the connection is the other side's.
            drop(select(pin!(connection), pin!(seat.must_go())).await);
            seats.leave(&seat);
        });
    }
}

impl Seat {
    fn new() -> Self {
        Self(Arc::new(Inner { touched: Mutex::new(Instant::now()), leave: Notify::new() }))
    }

    /// The connection has been used just now.
    pub(crate) fn touch(&self) {
        *self.touched() = Instant::now();
    }

    fn touched(&self) -> MutexGuard<'_, Instant> {
        self.0.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes back when the connection has been silent for too long, or another needs its place.
    async fn must_go(&self) {
        loop {
            let until = *self.touched() + IDLE;
            if until <= Instant::now() {
                return;
            }
            if timeout_at(until, self.0.leave.notified()).await.is_ok() {
                return;
            }
        }
    }
}

impl Seats {
    fn all(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a place for a new connection. If all are taken, the silent one goes.
    fn take(&self) -> Seat {
        let mut all = self.all();
        if all.len() >= MOST
            && let Some((at, _)) = all.iter().enumerate().min_by_key(|(_, seat)| *seat.touched())
        {
            all.swap_remove(at).0.leave.notify_one();
        }
        let seat = Seat::new();
        all.push(seat.clone());
        seat
    }

    fn leave(&self, seat: &Seat) {
        self.all().retain(|other| !Arc::ptr_eq(&other.0, &seat.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    }

    #[test]
    fn the_connection_that_was_silent_the_longest_makes_room() {
        runtime().block_on(async {
            let seats = Seats::default();
            let mut taken = Vec::new();
            for _ in 0..MOST {
                taken.push(seats.take());
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            taken[0].touch();
            let one_more = seats.take();
            taken[1].must_go().await;
            assert_eq!(seats.all().len(), MOST);
            seats.leave(&one_more);
            assert_eq!(seats.all().len(), MOST - 1);
        });
    }

    #[test]
    fn a_silent_connection_goes_after_a_while() {
        runtime().block_on(async {
            let (seat, begun) = (Seat::new(), Instant::now());
            let other = seat.clone();
            let used = tokio::spawn(async move {
                sleep(IDLE / 2).await;
                other.touch();
            });
            seat.must_go().await;
            used.await.unwrap();
            assert!((IDLE * 3 / 2..IDLE * 2).contains(&begun.elapsed()));
        });
    }
}
