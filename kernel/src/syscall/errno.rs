//! Error numbers, as programs see them (Linux's, `errno(3)`). The one place where an error of the kernel becomes a number.

use linux_raw_sys::errno as linux;

/// What a system call that failed returns, negated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(u16);

macro_rules! numbers {
    ($($name:ident)*) => {
        impl Errno {
            $(
                #[expect(clippy::cast_possible_truncation, reason = "error numbers are below 4096")]
                pub(crate) const $name: Self = Self(linux::$name as u16);
            )*
        }
    };
}

numbers! {
    EDOM EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV ENOTDIR
    EISDIR EINVAL EMFILE ENOTTY ETXTBSY ENOSPC ESPIPE EROFS EPIPE ERANGE ENAMETOOLONG ENOSYS ELOOP EOVERFLOW
    ENOTSOCK EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EAFNOSUPPORT EADDRINUSE ECONNRESET
    ENOBUFS EISCONN ENOTCONN ETOOMANYREFS ECONNREFUSED EOPNOTSUPP ETIMEDOUT ENOTEMPTY ELIBBAD EXDEV EDEADLK
    ENOLCK EMLINK EFBIG ESTALE ECANCELED ENOTBLK EUCLEAN EBADMSG
}

impl Errno {
    /// The number.
    pub(crate) const fn number(self) -> u16 {
        self.0
    }

    /// What x0 holds after the call.
    pub(crate) fn to_register(self) -> u64 {
        u64::from(self.0).wrapping_neg()
    }
}

impl defmt::Format for Errno {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "errno {=u16}", self.0);
    }
}
