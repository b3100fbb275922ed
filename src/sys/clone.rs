//! The system call that makes a process, in the form that can make it within a control group. Only the bare call:
//! what the child does is in `child`, why it is made is not known here.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;

/// `CLONE_INTO_CGROUP`
#[cfg(target_arch = "x86_64")]
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// What a child runs, on its own stack.
pub(super) type Entry = extern "C" fn(*mut c_void) -> c_int;

/// Makes a process that shares our memory and keeps us suspended until it has left it; its number and descriptor.
///
/// # Errors
/// ENOSYS where there is no such call, or where this program does not know how to make it.
///
/// # Safety
/// `stack` must be memory for the child alone, and `entry` with `argument` must be fit to be run by it.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn into_group(
    stack: &mut [u8],
    group: RawFd,
    flags: c_int,
    entry: Entry,
    argument: *mut c_void,
) -> io::Result<(i32, RawFd)> {
    let number = |flag: c_int| u64::try_from(flag).unwrap_or(0);
    let address = |place: usize| u64::try_from(place).unwrap_or(0);
    let mut pidfd: RawFd = -1;
    // Aligned at both ends, as a call wants its stack.
    let base = stack.as_mut_ptr().map_addr(|place| place.saturating_add(15) & !15);
    let bytes = stack.len().saturating_sub(32) & !15;
    // SAFETY: all of it is numbers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = number(libc::CLONE_VM)
        | number(libc::CLONE_VFORK)
        | number(libc::CLONE_PIDFD)
        | number(flags)
        | CLONE_INTO_CGROUP;
    arguments.pidfd = address((&raw mut pidfd).addr());
    arguments.exit_signal = number(libc::SIGCHLD);
    arguments.stack = address(base.addr());
    arguments.stack_size = address(bytes);
    arguments.cgroup = u64::try_from(group).unwrap_or(0);
    let mut result = libc::SYS_clone3;
    // SAFETY: the parent only makes a system call, with arguments that live long enough. The child, on its own
    // stack, calls `entry` and ends when that returns; nothing of ours but its result is changed by it.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "mov edi, eax",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit,
            inout("rax") result,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") argument,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if result < 0 {
        let errno = i32::try_from(result.saturating_neg()).unwrap_or(libc::EINVAL);
        return Err(io::Error::from_raw_os_error(errno));
    }
    Ok((i32::try_from(result).unwrap_or(0), pidfd))
}

/// See above: no other machine has been tried.
///
/// # Safety
/// It does nothing.
#[cfg(not(target_arch = "x86_64"))]
pub(super) unsafe fn into_group(
    _stack: &mut [u8],
    _group: RawFd,
    _flags: c_int,
    _entry: Entry,
    _argument: *mut c_void,
) -> io::Result<(i32, RawFd)> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}
