//! Signals that would end the program, where an error is more informative.

/// From now on a write beyond the limit on the size of files (`ulimit -f`) fails like one on a full disk, with
/// [`FileTooLarge`](std::io::ErrorKind::FileTooLarge). By default the system sends SIGXFSZ, which ends the process in
/// the middle of a file without naming it.
///
/// Child processes inherit the setting.
pub fn let_large_writes_fail() {
    #[cfg(unix)]
    // SAFETY: no handler is installed that could run at a bad moment: the signal is ignored.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
