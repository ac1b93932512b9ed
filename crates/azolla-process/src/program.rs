//! A program, and how the system starts it as a process of its own.
//!
//! The system's `posix_spawn` does it, not a fork: a fork copies the tables of all memory that this process has, and has
//! libraries prepare for it. The process gets nothing of this one but its standard output and error: it may have
//! descriptors that others wait to see closed. SIGINT is blocked in it, since Ctrl-C reaches all processes of a
//! terminal: the program allows it once it has a handler.

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::Pid;
use std::ffi::{CString, OsString};
use std::fs::{File, read_dir};
use std::io::{self, Error, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::ptr::null;

/// What a process runs.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// What it can read from its descriptor [`TEXT`]. The system limits arguments to 128 KiB, and this not.
    pub text: String,
}

/// The descriptor from which a program can read its text.
pub const TEXT: RawFd = 3;

/// Starts the program with this standard input.
pub(crate) fn spawn(program: &Program, stdin: impl AsFd) -> io::Result<Pid> {
    let words = strings(program.words.iter().cloned().map(OsStringExt::into_vec))?;
    let assigned = |(name, value): &(OsString, OsString)| {
        [name.clone().into_vec(), value.clone().into_vec()].join(&b'=')
    };
    let environment = strings(program.environment.iter().map(assigned))?;
    let Some(file) = words.first() else {
        return Err(Error::new(ErrorKind::InvalidInput, "no program is named"));
    };
    let (stdin, text) = (above_text(stdin)?, above_text(text(&program.text)?)?);
    let mut actions = Actions::new()?;
    actions.put(stdin.as_fd(), libc::STDIN_FILENO)?;
    actions.put(text.as_fd(), TEXT)?;
    for inherited in inherited() {
        match actions.close(inherited) {
            // It is at or above the limit of descriptors, which was lowered. The program closes it.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => (),
            closed => closed?,
        }
    }
    let attributes = Attributes::new()?;
    let mut id = 0;
    let (words, environment) = (pointers(&words), pointers(&environment));
    // SAFETY: all pointers are to what lives until the call returns; both arrays end with a null pointer.
    done(unsafe {
        libc::posix_spawnp(
            &mut id,
            file.as_ptr(),
            &actions.0,
            &attributes.0,
            words.as_ptr().cast(),
            environment.as_ptr().cast(),
        )
    })?;
    Pid::from_raw(id).ok_or_else(|| Error::other("the process has no number"))
}

fn strings(words: impl Iterator<Item = Vec<u8>>) -> io::Result<Vec<CString>> {
    Ok(words.map(CString::new).collect::<Result<_, _>>()?)
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([null()]).collect()
}

fn text(text: &str) -> io::Result<OwnedFd> {
    let file = File::from(memfd_create("azolla-program", MemfdFlags::CLOEXEC)?);
    // The program reads from the beginning: this does not move the place that they share.
    file.write_all_at(text.as_bytes(), 0)?;
    Ok(file.into())
}

/// Returns a copy that lies where nothing is put over there.
fn above_text(file: impl AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(file, TEXT + 1)?)
}

/// The descriptors above [`TEXT`] that a process which this one starts would inherit.
fn inherited() -> Vec<RawFd> {
    let Ok(all) = read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = all.filter_map(|fd| fd.ok()?.file_name().to_str()?.parse().ok());
    let inherits = |fd: &RawFd| {
        // SAFETY: it is only asked about. Another thread may have closed it, then this is an error.
        let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
        fcntl_getfd(fd).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
    };
    numbers.filter(|fd| *fd > TEXT).filter(inherits).collect()
}

/// What becomes of descriptors on the way to the process.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: if this succeeds, it has been initialised.
        done(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it has.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn put(&mut self, file: BorrowedFd<'_>, at: RawFd) -> io::Result<()> {
        let file = file.as_raw_fd();
        // SAFETY: `self` is initialised.
        done(unsafe { libc::posix_spawn_file_actions_adddup2(&mut self.0, file, at) })
    }

    fn close(&mut self, file: RawFd) -> io::Result<()> {
        // SAFETY: `self` is initialised.
        done(unsafe { libc::posix_spawn_file_actions_addclose(&mut self.0, file) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: `self` is initialised, and used no more.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

/// What signals the process begins with.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: if this succeeds, it has been initialised.
        done(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it has.
        let mut this = Self(unsafe { attributes.assume_init() });
        let (mut blocked, not_ignored) = (signals(&[]), signals(&[libc::SIGPIPE, libc::SIGXFSZ]));
        // SAFETY: the sets and `this` are initialised. What an interpreter ignores, a program expects not to be ignored.
        unsafe {
            done(libc::pthread_sigmask(libc::SIG_BLOCK, null(), &mut blocked))?;
            libc::sigaddset(&mut blocked, libc::SIGINT);
            done(libc::posix_spawnattr_setsigmask(&mut this.0, &blocked))?;
            done(libc::posix_spawnattr_setsigdefault(&mut this.0, &not_ignored))?;
            let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
            done(libc::posix_spawnattr_setflags(&mut this.0, flags as libc::c_short))?;
        }
        Ok(this)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: `self` is initialised, and used no more.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}

fn signals(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call initialises the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

/// The error of this number, if it is one.
fn done(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(Error::from_raw_os_error(error)) }
}
