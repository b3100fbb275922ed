//! The filter of system calls: what could take a wall down, reach the machine past the walls, or attack the kernel
//! where no server has business, is refused. How a call is found among them is known in `program`.

use std::ffi::{c_int, c_long, c_ulong};

use super::super::child::check;
use super::super::stage::{Failed, Stage};
use super::Network;
use super::program::{self, AND, ARGUMENTS, Body, IF_ANY_BIT, IF_EQUAL, LOAD, RETURN, branch, step};

/// Calls that are refused whatever they ask for.
const REFUSED: &[c_long] = &[
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    // What all processes of a user share.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    // The machine.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Calls that are answered as by a kernel that does not have them: shared memory, semaphores and queues that all
/// processes of the machine name alike, and the forms of `clone` and `open` whose flags a filter cannot read.
const UNKNOWN: &[c_long] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmdt,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_clone3,
    libc::SYS_openat2,
];

/// Calls that give a file its mode, and which argument that is.
const MODES: &[(c_long, usize)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
];

/// Calls that may make a file: which arguments are its flags and its mode.
const OPENS: &[(c_long, usize, usize)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1, 2),
    (libc::SYS_openat, 2, 3),
];

/// `fchmodat2`, which the library does not know yet.
const FCHMODAT2: c_long = 452;

/// The bits of a mode by which whoever executes a file becomes its owner or its group.
const SET_ID: u32 = 0o6000;

/// The flags of `clone` that make namespaces.
const NAMESPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// The bits of a socket's type that are no flags.
const TYPE: u32 = 0xf;

/// Ends with an errno.
fn refuse(errno: c_int) -> libc::sock_filter {
    step(RETURN, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

/// A call's number.
fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

/// The program. Where nothing else keeps a socket that was handed in from being turned round, `connect` is refused
/// as well.
pub(super) fn program(network: Network<'_>, has_port_rules: bool) -> Body {
    program::of(rules(network, has_port_rules), refuse(libc::ENOSYS))
}

/// Each call that is not simply allowed, and what decides about it.
fn rules(network: Network<'_>, has_port_rules: bool) -> Vec<(u32, Body)> {
    let allow = step(RETURN, libc::SECCOMP_RET_ALLOW);
    let mut rules = Vec::new();
    let mut rule = |call: c_long, body: &[libc::sock_filter]| rules.push((number(call), body.to_vec()));
    for call in REFUSED {
        rule(*call, &[refuse(libc::EPERM)]);
    }
    for call in UNKNOWN {
        rule(*call, &[refuse(libc::ENOSYS)]);
    }
    let [first, _, third, fourth] = ARGUMENTS;
    let namespaces = NAMESPACES.unsigned_abs();
    rule(
        libc::SYS_clone,
        &[step(LOAD, first), branch(IF_ANY_BIT, namespaces, 0, 1), refuse(libc::EPERM), allow],
    );
    // What it owns it could otherwise leave in a writable folder, for somebody outside to become it.
    for (call, mode) in MODES {
        let mode = ARGUMENTS.get(*mode).copied().unwrap_or_default();
        rule(*call, &[step(LOAD, mode), branch(IF_ANY_BIT, SET_ID, 0, 1), refuse(libc::EPERM), allow]);
    }
    for (call, flags, mode) in OPENS {
        let [flags, mode] = [flags, mode].map(|at| ARGUMENTS.get(*at).copied().unwrap_or_default());
        let makes = (libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY).unsigned_abs();
        rule(
            *call,
            &[
                step(LOAD, flags),
                branch(IF_ANY_BIT, makes, 0, 3),
                step(LOAD, mode),
                branch(IF_ANY_BIT, SET_ID, 0, 1),
                refuse(libc::EPERM),
                allow,
            ],
        );
    }
    rule(libc::SYS_socket, &sockets(network));
    if matches!(network, Network::Off | Network::Listen(_) | Network::Own { is_given_sockets: true }) {
        // Data in the first packet of a connection: it would be one without `connect`.
        let fast = libc::MSG_FASTOPEN.unsigned_abs();
        for (call, flags) in
            [(libc::SYS_sendto, fourth), (libc::SYS_sendmsg, third), (libc::SYS_sendmmsg, fourth)]
        {
            rule(call, &[step(LOAD, flags), branch(IF_ANY_BIT, fast, 0, 1), refuse(libc::EPERM), allow]);
        }
        if !has_port_rules {
            rule(libc::SYS_connect, &[refuse(libc::EPERM)]);
        }
    }
    rules
}

/// Which sockets can be made: first the family, then, where only TCP is left, type and protocol.
fn sockets(network: Network<'_>) -> Body {
    let allow = step(RETURN, libc::SECCOMP_RET_ALLOW);
    let [family, kind, protocol, _] = ARGUMENTS;
    let is = |value: c_int, yes, no| branch(IF_EQUAL, value.unsigned_abs(), yes, no);
    let mut body = vec![step(LOAD, family), is(libc::AF_UNIX, 0, 1), allow];
    if network != Network::Off {
        // What interfaces there are may be asked; nothing can be set without privileges.
        body.extend([
            is(libc::AF_NETLINK, 0, 3),
            step(LOAD, protocol),
            is(libc::NETLINK_ROUTE, 0, 1),
            allow,
            step(LOAD, family),
            is(libc::AF_INET, 1, 0),
        ]);
    }
    match network {
        Network::Off => {}
        Network::Listen(_) => body.extend([
            is(libc::AF_INET6, 0, 7),
            step(LOAD, kind),
            step(AND, TYPE),
            is(libc::SOCK_STREAM, 0, 4),
            step(LOAD, protocol),
            // 0 is TCP, too.
            is(0, 1, 0),
            is(libc::IPPROTO_TCP, 0, 1),
            allow,
        ]),
        Network::Own { .. } | Network::Host => body.extend([is(libc::AF_INET6, 0, 1), allow]),
    }
    body.push(refuse(libc::EAFNOSUPPORT));
    body
}

/// The child: from here on it holds.
pub(super) fn install(program: &[libc::sock_filter]) -> Result<(), Failed> {
    let length = u16::try_from(program.len()).unwrap_or(u16::MAX);
    let whole = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let (set, none): (_, c_ulong) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: a valid program of so many instructions, which is only read.
    check(Stage::Filter, unsafe { libc::syscall(libc::SYS_seccomp, set, none, &raw const whole) })
}

#[cfg(test)]
mod tests {
    use super::super::program::{IF_AT_LEAST, MACHINE, NUMBER, PROCESSOR};
    use super::*;

    /// What the kernel's machine makes of a call.
    fn run(program: &[libc::sock_filter], call: c_long, arguments: [u32; 4]) -> u32 {
        let (mut rest, mut accumulator) = (program, 0);
        while let Some((it, next)) = rest.split_first() {
            let mut go = |is| rest = &next[usize::from(if is { it.jt } else { it.jf })..];
            match it.code {
                LOAD if it.k == NUMBER => accumulator = number(call),
                LOAD if it.k == PROCESSOR => accumulator = MACHINE,
                LOAD => accumulator = arguments[ARGUMENTS.iter().position(|place| *place == it.k).unwrap()],
                AND => accumulator &= it.k,
                IF_EQUAL => go(accumulator == it.k),
                IF_AT_LEAST => go(accumulator >= it.k),
                IF_ANY_BIT => go(accumulator & it.k != 0),
                RETURN => return it.k,
                other => panic!("{other} is no instruction of ours"),
            }
            if [LOAD, AND].contains(&it.code) {
                rest = next;
            }
        }
        panic!("it does not end")
    }

    #[test]
    fn every_call_is_decided_as_the_lists_say() {
        let networks = [
            Network::Off,
            Network::Host,
            Network::Listen(&[80]),
            Network::Own { is_given_sockets: false },
            Network::Own { is_given_sockets: true },
        ];
        let (allow, refused) = (libc::SECCOMP_RET_ALLOW, refuse(libc::EPERM).k);
        for (network, has_ports) in
            networks.into_iter().flat_map(|network| [(network, true), (network, false)])
        {
            let program = program(network, has_ports);
            assert!(program.len() < 255, "a branch reaches no further: {}", program.len());
            let rules = rules(network, has_ports);
            for call in 0..1000 {
                let named = |list: &[c_long]| list.contains(&call);
                let said = run(&program, call, [0; 4]);
                if named(REFUSED) {
                    assert_eq!(said, refused, "{call}");
                } else if named(UNKNOWN) {
                    assert_eq!(said, refuse(libc::ENOSYS).k, "{call}");
                } else if rules.iter().all(|(number, _)| i64::from(*number) != call) {
                    assert_eq!(said, allow, "{call}");
                }
            }
            assert_eq!(run(&program, 0x4000_0000, [0; 4]), refuse(libc::ENOSYS).k);
            let user = libc::CLONE_NEWUSER.unsigned_abs();
            let [clone, mode] = [user, 0].map(|flags| run(&program, libc::SYS_clone, [flags, 0, 0, 0]));
            assert_eq!((clone, mode), (refused, allow));
            assert_eq!(run(&program, libc::SYS_fchmodat, [0, 0, 0o4755, 0]), refused);
            assert_eq!(run(&program, libc::SYS_fchmodat, [0, 0, 0o755, 0]), allow);
            let inet = libc::AF_INET.unsigned_abs();
            let socket = run(&program, libc::SYS_socket, [inet, libc::SOCK_STREAM.unsigned_abs(), 0, 0]);
            assert_eq!(socket == allow, network != Network::Off);
        }
    }
}
