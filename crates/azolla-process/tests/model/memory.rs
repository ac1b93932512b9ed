//! The memory of processes: who may begin tasks in one that takes too much; and that no range is used again while anything
//! reads it.

use azolla_process::leases::Leases;
use azolla_process::members::{Entry, Memory};
use azolla_process::message::Range;
use azolla_process::place::{Contents, Home, Memory as Mapped, Moved, Place, Stored};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::mpsc::channel;
use shuttle::thread;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

#[test]
fn no_process_is_replaced_while_it_has_tasks_and_no_wait_for_one_lasts_for_ever() {
    shuttle::check_random(threads_enter, 20_000);
    shuttle::check_pct(threads_enter, 20_000, 3);
}

/// Threads begin and end tasks, while the keeper sees the process take more or less, and kills it in the end.
fn threads_enter() {
    let memory = Arc::new(Memory::new(Some(100)));
    let busy = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (memory, busy) = (Arc::clone(&memory), Arc::clone(&busy));
            thread::spawn(move || {
                let mut kills = 0;
                for _ in 0..4 {
                    match memory.enter(|| Some(thread_rng().gen_range(70..90))) {
                        Entry::Open => {
                            busy.fetch_add(1, Ordering::SeqCst);
                            busy.fetch_sub(1, Ordering::SeqCst);
                            memory.leave();
                        }
                        Entry::Closed => return kills,
                        Entry::Kill => {
                            assert_eq!(busy.load(Ordering::SeqCst), 0, "a task was begun");
                            kills += 1;
                        }
                    }
                }
                kills
            })
        })
        .collect();
    let mut kills = 0;
    for _ in 0..4 {
        kills += usize::from(memory.saw(thread_rng().gen_range(60..100)));
        thread::yield_now();
    }
    memory.end();
    kills += threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>();
    assert!(kills <= 1, "a process is killed once");
}

#[test]
fn no_range_is_used_again_while_anything_reads_it() {
    shuttle::check_random(data_moves, 20_000);
    shuttle::check_pct(data_moves, 20_000, 3);
}

/// A home of ranges that hold a number each. One that is free holds none, and is taken first for the next number.
#[derive(Debug)]
struct Numbers {
    home: u32,
    numbers: Mutex<Vec<Option<usize>>>,
}

/// A number that is mapped.
#[derive(Debug)]
struct One(Mutex<u8>);

impl Mapped for One {
    fn start(&self) -> *mut u8 {
        std::ptr::from_mut(&mut *self.0.lock().unwrap())
    }

    fn length(&self) -> usize {
        1
    }
}

impl Numbers {
    fn new(home: u32) -> Arc<Self> {
        Arc::new(Self { home, numbers: Mutex::default() })
    }

    fn put(self: &Arc<Self>, number: usize) -> Place {
        let mut numbers = self.numbers.lock().unwrap();
        let free = numbers.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            numbers.push(None);
            numbers.len() - 1
        });
        numbers[at] = Some(number);
        let home: Arc<dyn Home> = Arc::clone(self) as _;
        Place::new(home, Range { arena: self.home, start: at as u64, length: 1 })
    }

    fn number(&self, range: Range) -> Option<usize> {
        self.numbers.lock().unwrap()[range.start as usize]
    }
}

impl Home for Numbers {
    fn number(&self) -> u32 {
        self.home
    }

    fn contents(&self) -> &dyn Contents {
        self
    }

    fn put_back(&self, range: Range) {
        let number = self.numbers.lock().unwrap()[range.start as usize].take();
        assert!(number.is_some(), "it is free already");
    }
}

impl Contents for Numbers {
    fn file(&self) -> BorrowedFd<'_> {
        unreachable!("it has none")
    }

    fn read(&self, range: Range, into: &mut [u8]) -> io::Result<()> {
        into[0] = self.number(range).expect("it is in use") as u8;
        Ok(())
    }

    fn map(&self, range: Range) -> io::Result<Box<dyn Mapped>> {
        let number = self.number(range).expect("it is in use");
        Ok(Box::new(One(Mutex::new(number as u8))))
    }
}

/// A client stores numbers and lends them to a process, which reads them later. Another thread moves them to a disk, and the
/// client drops and reads them meanwhile. The process gives back what it has read, or dies.
fn data_moves() {
    let (memory, disk) = (Numbers::new(1), Numbers::new(2));
    let leases = Arc::new(Mutex::new(Leases::default()));
    let (sends, hears) = channel::<(usize, Range)>();
    let process = {
        let (memory, disk, leases) = (Arc::clone(&memory), Arc::clone(&disk), Arc::clone(&leases));
        thread::spawn(move || {
            while let Ok((number, range)) = hears.recv() {
                let home = if range.arena == 1 { &memory } else { &disk };
                assert_eq!(home.number(range), Some(number));
                thread::yield_now();
                assert_eq!(home.number(range), Some(number), "it was used again");
                if thread_rng().gen_bool(0.1) {
                    break;
                }
                let place = leases.lock().unwrap().give_back(range);
                drop(place);
            }
            let places = leases.lock().unwrap().end();
            drop(places);
        })
    };
    let all: Vec<_> = (0..4).map(|number| Stored::new(memory.put(number))).collect();
    let mover = {
        let (all, disk) = (all.clone(), Arc::clone(&disk));
        thread::spawn(move || {
            for stored in &all {
                let moved = stored.move_to(|bytes| Ok(disk.put(bytes[0].into())));
                assert!(matches!(moved, Ok(Moved::There | Moved::InUse)));
            }
        })
    };
    for (number, stored) in all.into_iter().enumerate() {
        let place = stored.place();
        leases.lock().unwrap().lend(&place);
        // The process may have died.
        let _ = sends.send((number, place.range()));
        let mut byte = [0];
        place.read(&mut byte).unwrap();
        assert_eq!(usize::from(byte[0]), number);
        drop(place);
        drop(stored);
        drop(memory.put(99));
    }
    drop(sends);
    process.join().unwrap();
    mover.join().unwrap();
    let left = |home: &Numbers| home.numbers.lock().unwrap().iter().flatten().count();
    assert_eq!((left(&memory), left(&disk)), (0, 0));
}
