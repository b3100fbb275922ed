//! State files, the end, and the link.

use super::*;

#[test]
fn state_files_are_answered_and_only_the_last_content_counts() {
    for folder in [Folder::new(), Folder::on("/dev/shm")] {
        let mut desk = Desk::new();
        for ticket in 1..=500 {
            let path = folder.path(&format!("services/{}/process.json", ticket % 10));
            desk.say(Kind::Replace, ticket, &path, ticket.to_string().as_bytes());
        }
        let secret = folder.path("configs/a.json");
        desk.say(Kind::ReplaceSecret, 501, &secret, b"\xff\xff\xff\xff{}");
        desk.say(Kind::Append, 502, &folder.path("events.jsonl"), b"{}\n");
        for ticket in 1..=502 {
            assert_eq!(desk.errno(ticket), 0);
        }
        for number in 0..10 {
            let path = folder.path(&format!("services/{number}/process.json"));
            let last = if number == 0 { 500 } else { 490 + number };
            assert_eq!(fs::read_to_string(&path).unwrap(), last.to_string());
            desk.say(Kind::Replace, 600, &path, b"again");
            desk.say(Kind::Remove, 601, &path, b"");
            assert_eq!((desk.errno(601), path.exists()), (0, false));
        }
        assert_eq!(desk.finish(), 0);
    }
}

#[test]
fn what_could_not_be_written_is_told_kept_and_written_later() {
    let folder = Folder::new();
    let blocked = folder.path("state");
    fs::write(&blocked, "a file where a folder belongs").unwrap();
    let mut desk = Desk::new();
    desk.say(Kind::Replace, 1, &blocked.join("a.json"), b"old");
    desk.say(Kind::Replace, 2, &blocked.join("a.json"), b"new");
    desk.say(Kind::Append, 3, &blocked.join("events.jsonl"), b"one\n");
    desk.say(Kind::Append, 4, &blocked.join("events.jsonl"), b"two\n");
    for ticket in 1..=4 {
        assert_eq!(desk.errno(ticket), libc::ENOTDIR);
    }
    desk.wait(|desk| desk.degraded.len() == 1);
    fs::remove_file(&blocked).unwrap();
    desk.wait(|desk| desk.degraded.len() == 2);
    assert_eq!(fs::read(blocked.join("a.json")).unwrap(), b"new");
    assert_eq!(fs::read(blocked.join("events.jsonl")).unwrap(), b"one\ntwo\n");
    assert_eq!(desk.finish(), 0);
}

#[test]
fn the_end_of_the_supervisor_loses_nothing() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, folder.as_ref(), PLAIN);
    pipe.write_all(b"last words").unwrap();
    desk.say(Kind::Replace, 1, &folder.path("a.json"), b"1");
    desk.say(Kind::Say, 0, &folder.path("mcp-init.log"), b"");
    let Desk { link, scribe, .. } = desk;
    drop(link);
    scribe.join().unwrap();
    assert_eq!(fs::read(folder.path("current")).unwrap(), b"last words\n");
    assert_eq!(fs::read(folder.path("a.json")).unwrap(), b"1");
}

#[test]
fn the_link_refuses_what_can_be_done_without_and_keeps_the_order() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut link = Link::new(ours.into());
    let folder = Folder::new();
    let path = folder.path("state.json");
    let state =
        Frame { kind: Kind::Replace, ticket: 0, path: path.as_os_str().as_bytes(), body: &[b'x'; 10_000] };
    let mut taken = 0_u32;
    while link.send(state, None) {
        taken += 1;
        link.flush().unwrap();
    }
    assert!((100..200).contains(&taken), "{taken}");
    let (reader, _writer) = io::pipe().unwrap();
    assert!(link.send(Frame { kind: Kind::Watch, ticket: 9, path: b"", body: b"" }, Some(reader.into())));
    let scribe = thread::spawn(|| serve(theirs.into()));
    let end = Frame { kind: Kind::Finish, ticket: 8, path: b"", body: b"" };
    assert!(link.send(end, None));
    let mut answered = false;
    while !answered {
        let room = if link.has_unsent() { PollFlags::POLLOUT } else { PollFlags::empty() };
        let mut one = [PollFd::new(link.as_fd(), PollFlags::POLLIN | room)];
        assert!(poll(&mut one, PollTimeout::from(PATIENCE_MS)).unwrap() > 0);
        // The scribe may be gone before the last look at the socket.
        let _all_sent = link.flush();
        let _ended = link.receive(|frame| answered |= (frame.kind, frame.ticket) == (Kind::Done, 8));
    }
    scribe.join().unwrap().unwrap();
    assert_eq!((link.has_unsent(), fs::metadata(&path).unwrap().len()), (false, 10_000));
}
