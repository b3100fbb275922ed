//! Programs of the kernel's own small machine that find what decides about a system call by its number. Which calls
//! are decided how is not known here.

/// What the kernel calls this processor.
#[cfg(target_arch = "x86_64")]
pub(super) const MACHINE: u32 = 0xc000_003e;
/// What the kernel calls this processor.
#[cfg(target_arch = "aarch64")]
pub(super) const MACHINE: u32 = 0xc000_00b7;

/// From here on numbers are those of the 32-bit world on this processor.
const FOREIGN: u32 = 0x4000_0000;

/// `ld [k]`, `jeq k`, `jge k`, `jset k`, `and k`, `ret k`
pub(super) const LOAD: u16 = 0x20;
/// See [`LOAD`].
pub(super) const IF_EQUAL: u16 = 0x15;
/// See [`LOAD`].
pub(super) const IF_AT_LEAST: u16 = 0x35;
/// See [`LOAD`].
pub(super) const IF_ANY_BIT: u16 = 0x45;
/// See [`LOAD`].
pub(super) const AND: u16 = 0x54;
/// See [`LOAD`].
pub(super) const RETURN: u16 = 0x06;

/// Where the number, the processor and the arguments (lower halves) are.
pub(super) const NUMBER: u32 = 0;
/// See [`NUMBER`].
pub(super) const PROCESSOR: u32 = 4;
/// See [`NUMBER`].
pub(super) const ARGUMENTS: [u32; 4] = [16, 24, 32, 40];

/// What decides about a call: it ends in any case.
pub(super) type Body = Vec<libc::sock_filter>;

/// Calls of neighbouring numbers about which the same decides.
#[derive(Debug)]
struct Span {
    /// The first of them; the next span begins behind the last.
    from: u32,
    /// What decides.
    body: Body,
}

/// One instruction that does not branch.
pub(super) const fn step(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

/// One that skips so many.
pub(super) const fn branch(code: u16, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: yes, jf: no, k }
}

/// The program for calls that are not simply allowed, by their numbers; all of another processor's end with `foreign`.
pub(super) fn of(rules: Vec<(u32, Body)>, foreign: libc::sock_filter) -> Body {
    let mut program = vec![
        step(LOAD, PROCESSOR),
        branch(IF_EQUAL, MACHINE, 1, 0),
        step(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        step(LOAD, NUMBER),
        branch(IF_AT_LEAST, FOREIGN, 0, 1),
        foreign,
    ];
    let spans = spans(rules);
    // The search has a branch less than it has results, and the bodies come behind it, each once.
    let mut next = program.len().saturating_add(spans.len()).saturating_sub(1);
    let mut bodies: Vec<(usize, &Body)> = Vec::new();
    for span in &spans {
        if bodies.iter().all(|(_, body)| *body != &span.body) {
            bodies.push((next, &span.body));
            next = next.saturating_add(span.body.len());
        }
    }
    search(&spans, &bodies, &mut program);
    program.extend(bodies.into_iter().flat_map(|(_, body)| body).copied());
    program
}

/// All numbers there are, in order.
fn spans(mut rules: Vec<(u32, Body)>) -> Vec<Span> {
    rules.sort_by_key(|(number, _)| *number);
    let allow = || vec![step(RETURN, libc::SECCOMP_RET_ALLOW)];
    let mut spans = vec![Span { from: 0, body: allow() }];
    let mut add = |from, body| {
        if spans.last().is_some_and(|last| last.body != body) {
            spans.push(Span { from, body });
        }
    };
    let mut rules = rules.into_iter().peekable();
    while let Some((number, body)) = rules.next() {
        let behind = number.saturating_add(1);
        add(number, body);
        if rules.peek().is_none_or(|(next, _)| *next > behind) {
            add(behind, allow());
        }
    }
    spans
}

/// Appends the search of a number's span by halves; where that ends. The kernel runs the program once for every
/// number there is when it is installed, and translates each instruction: it is short either way.
fn search(spans: &[Span], bodies: &[(usize, &Body)], program: &mut Body) -> usize {
    if let [span] = spans {
        return bodies.iter().find(|(_, body)| *body == &span.body).map_or(usize::MAX, |(at, _)| *at);
    }
    let (low, high) = spans.split_at(spans.len() / 2);
    let here = program.len();
    program.push(step(RETURN, libc::SECCOMP_RET_KILL_PROCESS));
    let low = search(low, bodies, program);
    let border = high.first().map_or(u32::MAX, |span| span.from);
    let high = search(high, bodies, program);
    let skip = |to: usize| u8::try_from(to.saturating_sub(here).saturating_sub(1)).unwrap_or(u8::MAX);
    if let Some(place) = program.get_mut(here) {
        *place = branch(IF_AT_LEAST, border, skip(high), skip(low));
    }
    here
}
