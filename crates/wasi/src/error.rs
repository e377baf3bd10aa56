//! Errors: [`Errno`] of the shared layer, [`TrappableError`] of interfaces, and [`I32Exit`].

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

macro_rules! errors {
    ($($name:ident = $errno:ident: $text:literal,)*) => {
        /// The reason why an operation of the shared layer failed. The reasons are those of POSIX;
        /// `wasi:filesystem`, `wasi:sockets` and preview 1 have their own codes for them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Errno {
            $(#[doc = concat!("`E", stringify!($errno), "`: ", $text, ".")] $name,)*
            /// The capability has no right to this (`ENOTCAPABLE` of preview 1).
            NotCapable,
        }

        impl Errno {
            /// All reasons.
            pub const ALL: &[Errno] = &[$(Errno::$name,)* Errno::NotCapable];

            fn text(self) -> &'static str {
                match self {
                    $(Errno::$name => $text,)*
                    Errno::NotCapable => "the capability has no right to this",
                }
            }

            /// Returns the number that the system has for the reason.
            fn to_system(self) -> rustix::io::Errno {
                match self {
                    $(Errno::$name => rustix::io::Errno::$errno,)*
                    Errno::NotCapable => rustix::io::Errno::PERM,
                }
            }
        }

        impl From<rustix::io::Errno> for Errno {
            /// Converts an error of the system. One that POSIX does not know is [`Errno::Io`].
            fn from(error: rustix::io::Errno) -> Errno {
                match error {
                    $(rustix::io::Errno::$errno => Errno::$name,)*
                    _ => Errno::Io,
                }
            }
        }
    };
}

errors! {
    Access = ACCESS: "access is denied",
    AddressFamily = AFNOSUPPORT: "the address family is not supported",
    AddressInUse = ADDRINUSE: "the address is in use",
    AddressNotAvailable = ADDRNOTAVAIL: "the address is not available",
    Again = AGAIN: "the operation would block",
    Already = ALREADY: "the operation is already in progress",
    BadDescriptor = BADF: "the descriptor is not open, or not for this operation",
    BadMessage = BADMSG: "the message is bad",
    Busy = BUSY: "the resource is busy",
    Canceled = CANCELED: "the operation was canceled",
    Child = CHILD: "there is no child process",
    ConnectionAborted = CONNABORTED: "the connection was aborted",
    ConnectionRefused = CONNREFUSED: "the connection was refused",
    ConnectionReset = CONNRESET: "the connection was reset",
    CrossDevice = XDEV: "the paths are on different file systems",
    Deadlock = DEADLK: "the operation would cause a deadlock",
    DestinationRequired = DESTADDRREQ: "a destination address is required",
    Domain = DOM: "the argument is out of the domain of the function",
    Exist = EXIST: "the file exists",
    Fault = FAULT: "the address is bad",
    FileTooLarge = FBIG: "the file is too large",
    HostUnreachable = HOSTUNREACH: "the host is unreachable",
    IdentifierRemoved = IDRM: "the identifier was removed",
    IllegalByteSequence = ILSEQ: "the byte sequence is illegal",
    InProgress = INPROGRESS: "the operation is in progress",
    Interrupted = INTR: "the operation was interrupted",
    Invalid = INVAL: "an argument is invalid",
    InvalidSeek = SPIPE: "the descriptor cannot seek",
    Io = IO: "the device failed",
    IsConnected = ISCONN: "the socket is connected",
    IsDirectory = ISDIR: "it is a directory",
    Loop = LOOP: "there are too many symbolic links in the path",
    MessageSize = MSGSIZE: "the message is too large",
    Multihop = MULTIHOP: "the path has a remote component",
    NameTooLong = NAMETOOLONG: "the name is too long",
    NetworkDown = NETDOWN: "the network is down",
    NetworkReset = NETRESET: "the network reset the connection",
    NetworkUnreachable = NETUNREACH: "the network is unreachable",
    NoBufferSpace = NOBUFS: "there is no buffer space",
    NoDevice = NODEV: "there is no such device",
    NoEntry = NOENT: "there is no such file or directory",
    NoExecutable = NOEXEC: "the file is not executable",
    NoLink = NOLINK: "the link is severed",
    NoLock = NOLCK: "there are no locks left",
    NoMemory = NOMEM: "there is not enough memory",
    NoMessage = NOMSG: "there is no message of this type",
    NoProcess = SRCH: "there is no such process",
    NoProtocolOption = NOPROTOOPT: "the protocol has no such option",
    NoSpace = NOSPC: "there is no space left on the device",
    NoSuchDevice = NXIO: "there is no such device or address",
    NoSystemCall = NOSYS: "the system has no such function",
    NoTty = NOTTY: "the descriptor does not support this control operation",
    NotConnected = NOTCONN: "the socket is not connected",
    NotDirectory = NOTDIR: "it is not a directory",
    NotEmpty = NOTEMPTY: "the directory is not empty",
    NotPermitted = PERM: "the operation is not permitted",
    NotRecoverable = NOTRECOVERABLE: "the state is not recoverable",
    NotSocket = NOTSOCK: "the descriptor is not a socket",
    NotSupported = OPNOTSUPP: "the operation is not supported",
    Overflow = OVERFLOW: "the value is too large for its type",
    OwnerDead = OWNERDEAD: "the owner of the lock died",
    Pipe = PIPE: "the reader is gone",
    Protocol = PROTO: "a protocol error occurred",
    ProtocolNotSupported = PROTONOSUPPORT: "the protocol is not supported",
    ProtocolType = PROTOTYPE: "the protocol is of the wrong type for the socket",
    Quota = DQUOT: "the quota is exhausted",
    Range = RANGE: "the result is too large",
    ReadOnly = ROFS: "the file system is read-only",
    Stale = STALE: "the file handle is stale",
    TextFileBusy = TXTBSY: "the file is being executed",
    TimedOut = TIMEDOUT: "the operation timed out",
    TooManyFiles = MFILE: "there are too many open files",
    TooManyFilesInSystem = NFILE: "the system has too many open files",
    TooManyLinks = MLINK: "there are too many links",
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Error for Errno {}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        Errno::from(&error)
    }
}

impl From<&std::io::Error> for Errno {
    fn from(error: &std::io::Error) -> Errno {
        use std::io::ErrorKind;
        if let Some(errno) = rustix::io::Errno::from_io_error(error) {
            return errno.into();
        }
        // Errors that the standard library makes itself.
        match error.kind() {
            ErrorKind::NotFound => Errno::NoEntry,
            ErrorKind::PermissionDenied => Errno::NotPermitted,
            ErrorKind::AlreadyExists => Errno::Exist,
            ErrorKind::InvalidInput => Errno::Invalid,
            ErrorKind::InvalidData => Errno::IllegalByteSequence,
            ErrorKind::Unsupported => Errno::NotSupported,
            ErrorKind::WouldBlock => Errno::Again,
            ErrorKind::TimedOut => Errno::TimedOut,
            ErrorKind::Interrupted => Errno::Interrupted,
            ErrorKind::BrokenPipe => Errno::Pipe,
            ErrorKind::OutOfMemory => Errno::NoMemory,
            _ => Errno::Io,
        }
    }
}

impl From<Errno> for std::io::Error {
    fn from(error: Errno) -> std::io::Error {
        error.to_system().into()
    }
}

/// Returns the reason why an operation of a stream failed, if its error has one.
pub(crate) fn reason(error: &mintage::Error) -> Option<Errno> {
    match error.downcast_ref::<Errno>() {
        Some(error) => Some(*error),
        None => error.downcast_ref::<std::io::Error>().map(Errno::from),
    }
}

/// The error of a call whose guest has exited: its exit code.
///
/// ```
/// fn exit_code(result: mintage::Result<()>) -> mintage::Result<i32> {
///     match result {
///         Ok(()) => Ok(0),
///         Err(error) => match error.downcast_ref::<mintage_wasi::I32Exit>() {
///             Some(exit) => Ok(exit.0),
///             None => Err(error),
///         },
///     }
/// }
/// # assert_eq!(exit_code(Err(mintage_wasi::I32Exit(3).into())).unwrap(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I32Exit(pub i32);

impl I32Exit {
    /// Returns the exit code for the process of the host. Codes that a process cannot have are 1.
    pub fn process_exit_code(&self) -> i32 {
        match self.0 {
            code @ 0..=255 => code,
            _ => 1,
        }
    }
}

impl fmt::Display for I32Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest exited with code {}", self.0)
    }
}

impl Error for I32Exit {}

/// The error of a host function: an error `T` that the guest gets, or a trap that ends its call.
pub struct TrappableError<T> {
    error: mintage::Error,
    kind: PhantomData<T>,
}

impl<T> TrappableError<T> {
    /// Creates an error that ends the guest's call.
    pub fn trap(error: impl Into<mintage::Error>) -> TrappableError<T> {
        TrappableError {
            error: error.into(),
            kind: PhantomData,
        }
    }

    /// Returns the error for the guest.
    ///
    /// # Errors
    ///
    /// If it is a trap: its error.
    pub fn downcast(self) -> mintage::Result<T>
    where
        T: Error + Send + Sync + 'static,
    {
        self.error.downcast()
    }

    /// Returns the error for the guest, or `None` if it is a trap.
    pub fn downcast_ref(&self) -> Option<&T>
    where
        T: Error + Send + Sync + 'static,
    {
        self.error.downcast_ref()
    }
}

impl<T: Error + Send + Sync + 'static> From<T> for TrappableError<T> {
    fn from(error: T) -> Self {
        Self::trap(error)
    }
}

impl<T> fmt::Debug for TrappableError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> fmt::Display for TrappableError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> Error for TrappableError<T> {}

/// Makes errors of the shared layer and of the host's table ones of functions whose error code for
/// guests is `$code`.
macro_rules! codes {
    ($code:ty) => {
        impl From<std::io::Error> for $code {
            fn from(error: std::io::Error) -> Self {
                $crate::Errno::from(error).into()
            }
        }

        impl From<$crate::Errno> for $crate::TrappableError<$code> {
            fn from(error: $crate::Errno) -> Self {
                <$code>::from(error).into()
            }
        }

        impl From<std::io::Error> for $crate::TrappableError<$code> {
            fn from(error: std::io::Error) -> Self {
                <$code>::from(error).into()
            }
        }

        impl From<mintage::ResourceTableError> for $crate::TrappableError<$code> {
            fn from(error: mintage::ResourceTableError) -> Self {
                Self::trap(error)
            }
        }
    };
}

pub(crate) use codes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_go_to_the_system_and_back() {
        for &errno in Errno::ALL {
            let back = Errno::from(std::io::Error::from(errno));
            let expected = match errno {
                Errno::NotCapable => Errno::NotPermitted,
                errno => errno,
            };
            assert_eq!(back, expected);
        }
    }

    #[test]
    fn errors_are_for_the_guest_or_traps() {
        let error = TrappableError::from(Errno::Busy);
        assert_eq!(error.downcast_ref(), Some(&Errno::Busy));
        assert_eq!(error.downcast().unwrap(), Errno::Busy);
        let trap = TrappableError::<Errno>::trap(mintage::format_err!("a trap"));
        assert_eq!(trap.downcast_ref(), None);
        assert_eq!(trap.downcast().unwrap_err().to_string(), "a trap");
    }
}
