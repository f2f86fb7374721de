//! Signals that would end the program where an error can say more.

/// From now on a write beyond the limit on the size of files (`ulimit -f`) fails as one on a full disk does, with
/// [`FileTooLarge`](std::io::ErrorKind::FileTooLarge). The system's own way is to send SIGXFSZ, which ends the process in the
/// middle of a file and says nothing of which.
///
/// Programs that this one starts are begun that way too.
pub fn let_large_writes_fail() {
    #[cfg(unix)]
    // SAFETY: no handler is installed that could run at a bad moment: the signal is ignored.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
