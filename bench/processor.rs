// The processor's time, for programs that are measured on a machine that may have other work to do.

use std::time::Duration;

/// Seconds and nanoseconds, as C has them on 64-bit systems.
#[repr(C)]
#[derive(Default)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// C's name for the clock of the calling thread's processor time.
const CLOCK_THREAD_CPUTIME_ID: i32 = if cfg!(target_os = "macos") { 16 } else { 3 };

/// How many seconds this thread has had a processor.
pub(crate) fn seconds() -> f64 {
    let mut time = Timespec::default();
    // SAFETY: the C library writes the time to the place that it is given, which is as large as it should be.
    let failed = unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "every system has this clock");
    Duration::new(time.seconds as u64, time.nanoseconds as u32).as_secs_f64()
}
