//! The numbers of Linux's calls on aarch64.

macro_rules! numbers {
    ($($name:ident = $value:literal)+) => {
        $(#[doc = concat!("The call `", stringify!($name), "`.")] pub const $name: usize = $value;)+
    };
}

numbers! {
    GETCWD = 17
    EVENTFD2 = 19
    EPOLL_CREATE1 = 20
    EPOLL_CTL = 21
    EPOLL_PWAIT = 22
    DUP = 23
    DUP3 = 24
    FCNTL = 25
    IOCTL = 29
    CHDIR = 49
    CHROOT = 51
    OPENAT = 56
    CLOSE = 57
    PIPE2 = 59
    GETDENTS64 = 61
    LSEEK = 62
    READ = 63
    WRITE = 64
    PSELECT6 = 72
    PPOLL = 73
    READLINKAT = 78
    NEWFSTATAT = 79
    SYNC = 81
    EXIT = 93
    EXIT_GROUP = 94
    WAITID = 95
    FUTEX = 98
    NANOSLEEP = 101
    CLOCK_GETTIME = 113
    CLOCK_NANOSLEEP = 115
    SCHED_SETAFFINITY = 122
    SCHED_GETAFFINITY = 123
    SCHED_YIELD = 124
    KILL = 129
    TGKILL = 131
    RT_SIGACTION = 134
    RT_SIGPROCMASK = 135
    REBOOT = 142
    SETGID = 144
    SETUID = 146
    SETRESUID = 147
    GETRESUID = 148
    SETRESGID = 149
    GETRESGID = 150
    TIMES = 153
    SETPGID = 154
    GETPGID = 155
    GETSID = 156
    SETSID = 157
    GETGROUPS = 158
    SETGROUPS = 159
    UNAME = 160
    GETRUSAGE = 165
    UMASK = 166
    PRCTL = 167
    GETCPU = 168
    GETPID = 172
    GETPPID = 173
    GETUID = 174
    GETEUID = 175
    GETGID = 176
    GETEGID = 177
    GETTID = 178
    SYSINFO = 179
    SOCKET = 198
    SOCKETPAIR = 199
    GETSOCKOPT = 209
    SENDMSG = 211
    RECVMSG = 212
    BRK = 214
    MUNMAP = 215
    MREMAP = 216
    CLONE = 220
    EXECVE = 221
    MMAP = 222
    MPROTECT = 226
    MSYNC = 227
    MLOCK = 228
    MUNLOCK = 229
    MLOCKALL = 230
    MINCORE = 232
    MADVISE = 233
    WAIT4 = 260
    PRLIMIT64 = 261
    GETRANDOM = 278
    EXECVEAT = 281
    CLONE3 = 435
    CLOSE_RANGE = 436
}
