//! Everything at once, from four threads, with nothing left in the end.

use crate::{assert_empty, client, own};
use azolla::{Client, Error, Future, as_completed};
use std::sync::Mutex;
use std::time::Duration;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}

type Shared = Mutex<Vec<Future<u64>>>;

fn grow(depth: u64) -> u64 {
    if depth == 0 {
        return 1;
    }
    let children = own().map(grow, [depth - 1, depth - 1]);
    match depth % 3 {
        0 => own().gather(&children).map_or(0, |all| all.into_iter().sum()),
        1 => as_completed(children).filter_map(|child| child.result().ok().copied()).sum(),
        _ => children[0].result_timeout(Duration::from_micros(50)).map_or(1, |n| *n),
    }
}

fn meddle(client: &Client, shared: &Shared, mut random: Random, steps: usize) {
    let pick = |random: &mut Random| {
        let shared = shared.lock().unwrap();
        (!shared.is_empty()).then(|| shared[random.below(shared.len())].clone())
    };
    let mut mine = Vec::new();
    for _ in 0..steps {
        let depth = random.below(4) as u64;
        match random.below(14) {
            0 => mine.push(client.submit(move || grow(depth))),
            1 => mine.extend(client.map(|n: u64| n, 0..random.below(300) as u64)),
            2 => {
                let key = format!("key {}", random.below(5));
                mine.push(client.task().key(key).submit(move || grow(depth)));
            }
            3 => mine.push(client.try_submit(move || Err::<u64, _>("on purpose"))),
            4 => mine.push(client.task().retries(2).submit(move || {
                assert!(depth > 0, "on purpose");
                depth
            })),
            5 | 6 => {
                let inputs: Vec<_> =
                    (0..1 + random.below(4)).filter_map(|_| pick(&mut random)).collect();
                let priority = random.below(3) as i32;
                let task = client.task().priority(priority);
                mine.push(task.submit_with(&inputs, |all| all.into_iter().sum()));
            }
            7 => {
                let mut shared = shared.lock().unwrap();
                shared.append(&mut mine);
                let old = shared.len().saturating_sub(200);
                let gone = shared.drain(..old).collect::<Vec<_>>();
                drop(shared);
                drop(gone);
            }
            8 => mine.truncate(random.below(mine.len() + 1)),
            9 => drop(pick(&mut random).map(|future| future.cancel())),
            10 => drop(pick(&mut random).map(|future| future.retry())),
            11 => drop(pick(&mut random).map(|future| future.forget())),
            12 => {
                if let Some(future) = pick(&mut random) {
                    match future.result() {
                        Ok(_)
                        | Err(Error::Failed { .. } | Error::Panicked { .. })
                        | Err(Error::Cancelled { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            _ => {
                let some: Vec<_> = (0..5).filter_map(|_| pick(&mut random)).collect();
                let mut endings = as_completed(some);
                drop(endings.next_timeout(Duration::from_millis(1)));
            }
        }
    }
}

#[test]
fn random_operations_from_four_threads_leave_nothing() {
    let client = client(2);
    let shared = Shared::default();
    std::thread::scope(|scope| {
        for seed in 1..=4_u64 {
            let (client, shared) = (&client, &shared);
            let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            scope.spawn(move || meddle(client, shared, random, 5_000));
        }
    });
    client.check_invariants().unwrap();
    drop(shared);
    assert_empty(&client);
    client.check_invariants().unwrap();
    assert!(client.counters().threads <= 300);
}
