//! What becomes of the services' output.

use super::*;

/// The files of a log, oldest first, `current` last.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// All that a log holds.
fn text(folder: &Path) -> String {
    files(folder).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn lines_come_through_whole_across_rotation_and_files_are_bounded() {
    let folder = Folder::new();
    let logs = folder.path("logs/a");
    let mut desk = Desk::new();
    let mut pipe = desk.watch(7, &logs, rules(10_000, 1000, u64::MAX, false));
    for number in 0..20_000 {
        writeln!(pipe, "{number} {}", "x".repeat(number % 97)).unwrap();
    }
    assert_eq!(desk.drain(7), 0);
    let mut next = 0;
    for file in files(&logs) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.len() <= 10_000 && text.ends_with('\n'), "{}", file.display());
        for line in text.lines() {
            assert_eq!(line, format!("{next} {}", "x".repeat(next % 97)));
            next += 1;
        }
    }
    assert_eq!(next, 20_000);
    assert_eq!(desk.finish(), 0);
}

#[test]
fn only_the_newest_files_are_kept_and_only_its_own_are_removed() {
    let folder = Folder::new();
    for (name, rules, most_files, most_bytes) in [
        ("count", rules(1000, 3, u64::MAX, false), 4, 4000),
        ("total", rules(1000, 100, 2500, false), 4, 2500),
    ] {
        let logs = folder.path(name);
        fs::create_dir(&logs).unwrap();
        for alien in ["notes.log", "19990101T000000.000000Z.gz", "19990101T000000Z.log"] {
            fs::write(logs.join(alien), "not ours").unwrap();
        }
        fs::write(logs.join("19990101T000000.000000Z.log"), "an old one of ours\n").unwrap();
        let mut desk = Desk::new();
        let mut pipe = desk.watch(1, &logs, rules);
        for number in 0..1000 {
            writeln!(pipe, "line {number:04}").unwrap();
        }
        assert_eq!(desk.finish(), 0);
        let ours: Vec<PathBuf> = files(&logs)
            .into_iter()
            .filter(|file| file.ends_with("current") || file.to_string_lossy().contains("Z.log"))
            .filter(|file| !file.ends_with("19990101T000000Z.log"))
            .collect();
        let bytes: u64 = ours.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        assert!(ours.len() <= most_files && bytes <= most_bytes && bytes > 1500, "{ours:?} {bytes}");
        assert_eq!(files(&logs).len(), ours.len() + 3);
        assert!(text(&logs).contains("line 0999"));
    }
}

#[test]
fn any_bytes_pass_and_a_last_line_without_end_is_written_once_it_is_known_to_be_last() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, folder.as_ref(), PLAIN);
    pipe.write_all(b"\x00\x1b[31mred\xff\xfe\nhal").unwrap();
    pipe.write_all(b"f\nno end").unwrap();
    assert_eq!(desk.drain(1), 0);
    pipe.write_all(b"after\n").unwrap();
    drop(pipe);
    assert_eq!(desk.finish(), 0);
    assert_eq!(fs::read(folder.path("current")).unwrap(), b"\x00\x1b[31mred\xff\xfe\nhalf\nno end\nafter\n");
}

#[test]
fn a_line_without_end_is_split_and_every_line_has_its_time() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, folder.as_ref(), rules(u64::MAX, 1, u64::MAX, true));
    for _ in 0..50 {
        pipe.write_all(&[b'x'; 10_000]).unwrap();
    }
    pipe.write_all(b"\nlast\n").unwrap();
    assert_eq!(desk.drain(1), 0);
    let text = text(folder.as_ref());
    let mut letters = 0;
    for line in text.lines() {
        let (stamp, words) = line.split_at(28);
        assert!(stamp.starts_with("20") && stamp.ends_with("Z "), "{stamp}");
        letters += words.len();
        assert!(words.len() <= 65_536);
    }
    assert_eq!(letters, 500_004);
    assert_eq!(desk.finish(), 0);
}

#[test]
fn a_full_disk_costs_lines_but_no_wait_and_is_told_when_it_works_again() {
    let folder = Folder::new();
    let logs = folder.path("a");
    fs::create_dir(&logs).unwrap();
    std::os::unix::fs::symlink("/dev/full", logs.join("current")).unwrap();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(3, &logs, PLAIN);
    for _ in 0..100_000 {
        pipe.write_all(b"lost\n").unwrap();
    }
    assert_eq!(desk.drain(3), libc::ENOSPC);
    desk.wait(|desk| desk.dropped.get(&3) == Some(&100_000));
    assert_eq!(desk.degraded, [(libc::ENOSPC, logs.join("current"))]);
    fs::remove_file(logs.join("current")).unwrap();
    desk.wait(|desk| desk.degraded.len() == 2);
    assert_eq!(desk.degraded[1], (0, PathBuf::new()));
    pipe.write_all(b"kept\n").unwrap();
    assert_eq!(desk.drain(3), 0);
    assert_eq!(fs::read_to_string(logs.join("current")).unwrap(), "mcp-init: 100000 lines dropped\nkept\n");
    assert_eq!(desk.finish(), 0);
}

#[test]
fn a_log_that_was_moved_removed_or_is_in_the_way_is_made_anew() {
    let folder = Folder::new();
    let logs = folder.path("a");
    let current = logs.join("current");
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, &logs, PLAIN);
    let mut line = |desk: &mut Desk, words: &str| {
        writeln!(pipe, "{words}").unwrap();
        desk.drain(1)
    };
    assert_eq!(line(&mut desk, "one"), 0);
    fs::rename(&current, logs.join("moved")).unwrap();
    assert_eq!(line(&mut desk, "two"), 0);
    assert_eq!(fs::read_to_string(&current).unwrap(), "two\n");
    fs::remove_dir_all(&logs).unwrap();
    assert_eq!(line(&mut desk, "three"), 0);
    assert_eq!(fs::read_to_string(&current).unwrap(), "three\n");
    fs::remove_file(&current).unwrap();
    fs::create_dir(&current).unwrap();
    assert_eq!(line(&mut desk, "four"), libc::EISDIR);
    fs::remove_dir(&current).unwrap();
    desk.wait(|desk| desk.degraded.len() == 2);
    assert_eq!(line(&mut desk, "five"), 0);
    assert_eq!(fs::read_to_string(&current).unwrap(), "mcp-init: 1 lines dropped\nfive\n");
    assert_eq!(desk.finish(), 0);
}

#[test]
fn a_flood_starves_neither_another_service_nor_the_supervisor() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut loud = desk.watch(1, &folder.path("loud"), rules(1_000_000, 2, 3_000_000, false));
    let mut quiet = desk.watch(2, &folder.path("quiet"), PLAIN);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let flood = thread::spawn(move || {
        let lines = b"noise\n".repeat(10_000);
        while !stopped.load(Ordering::Relaxed) {
            loud.write_all(&lines).unwrap();
        }
    });
    for number in 0..100 {
        writeln!(quiet, "{number}").unwrap();
        assert_eq!(desk.drain(2), 0);
        assert_eq!(desk.drain(1), 0, "an endless output does not hold the answer");
    }
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert_eq!(desk.finish(), 0);
    assert_eq!(text(&folder.path("quiet")).lines().count(), 100);
    let loud = text(&folder.path("loud")).len();
    assert!((500_000..=3_000_000).contains(&loud), "{loud}");
}

#[test]
fn many_outputs_go_where_they_belong() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipes: Vec<PipeWriter> =
        (0..200).map(|number| desk.watch(number, &folder.path(&number.to_string()), PLAIN)).collect();
    for (number, pipe) in pipes.iter_mut().enumerate() {
        writeln!(pipe, "I am {number}").unwrap();
    }
    assert_eq!(desk.drain(0), 0);
    desk.say(Kind::Unwatch, 5, Path::new(""), b"");
    assert_eq!(desk.finish(), 0);
    for number in 0..200 {
        assert_eq!(text(&folder.path(&number.to_string())), format!("I am {number}\n"));
    }
}

/// Not a test of anything: prints what the scribe moves in a second. Run it with `--release -- --ignored`.
#[test]
#[ignore = "a measurement"]
fn throughput_of_4_kib_lines() {
    const LINES: u32 = 100_000;
    for (name, rules) in [
        ("plain, 1 MiB files", rules(1 << 20, 10, u64::MAX, false)),
        ("plain, 10 MiB files", rules(10 << 20, 10, u64::MAX, false)),
        ("timestamps, 1 MiB files", rules(1 << 20, 10, u64::MAX, true)),
        ("timestamps, 10 MiB files", rules(10 << 20, 10, u64::MAX, true)),
    ] {
        for size in [4096, 100] {
            let lines = LINES * 4096 / u32::try_from(size).unwrap();
            let folder = Folder::new();
            let mut desk = Desk::new();
            let mut pipe = desk.watch(1, folder.as_ref(), rules);
            let line = [vec![b'x'; size - 1], vec![b'\n']].concat().repeat(4096 / size);
            #[expect(clippy::disallowed_methods, reason = "a measurement")]
            let start = std::time::Instant::now();
            for _ in 0..LINES {
                pipe.write_all(&line).unwrap();
            }
            assert_eq!(desk.drain(1), 0);
            let elapsed = start.elapsed().as_secs_f64();
            let (errno, used) = desk.finish_with_time();
            assert_eq!(errno, 0);
            let megabytes = f64::from(LINES) * 4.096e-3;
            let (speed, cost) = (megabytes / elapsed, used / megabytes * 1e3);
            println!("{name}, {lines} lines of {size}: {speed:.0} MB/s, {cost:.2} s of processor a GB");
        }
    }
}

#[test]
fn a_line_that_an_earlier_life_left_torn_is_ended_first() {
    let folder = Folder::new();
    fs::write(folder.path("current"), "whole\nto").unwrap();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, folder.as_ref(), PLAIN);
    pipe.write_all(b"new\n").unwrap();
    assert_eq!(desk.finish(), 0);
    assert_eq!(text(folder.as_ref()), "whole\nto\nnew\n");
}

#[test]
fn another_watch_of_a_number_takes_its_place() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut old = desk.watch(1, &folder.path("old"), PLAIN);
    old.write_all(b"first\nhalf").unwrap();
    let mut new = desk.watch(1, &folder.path("new"), PLAIN);
    new.write_all(b"second\n").unwrap();
    assert_eq!(desk.finish(), 0);
    assert_eq!(text(&folder.path("old")), "first\nhalf\n");
    assert_eq!(text(&folder.path("new")), "second\n");
    assert!(old.write_all(b"nobody reads this\n").is_err());
}

/// Where the child below finds its folder.
const FOLDER_VARIABLE: &str = "MCP_INIT_TEST_FOLDER";

#[test]
fn a_disk_that_fills_within_a_line_leaves_no_torn_line() {
    let folder = Folder::new();
    let script =
        "trap '' XFSZ; ulimit -f 64; exec \"$0\" --ignored --exact --nocapture scribe::tests::logs::child";
    let mut child = std::process::Command::new("sh");
    child.args(["-c", script]).arg(std::env::current_exe().unwrap()).env(FOLDER_VARIABLE, folder.as_ref());
    let output = child.output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    let dropped: usize =
        words.split("dropped=").nth(1).and_then(|rest| rest.lines().next()).unwrap().parse().unwrap();
    let text = text(folder.as_ref());
    assert!(text.ends_with('\n') && dropped > 0 && text.len() <= 65_536);
    // The note about them is short enough to fit where no line does.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("mcp-init: ")).collect();
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("{number:099}"));
    }
    assert_eq!(lines.len() + dropped, 10_000);
}

#[test]
#[ignore = "run by the test above, with a limit on the size of files"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else { return };
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, Path::new(&folder), PLAIN);
    for number in 0..10_000 {
        writeln!(pipe, "{number:099}").unwrap();
    }
    assert_eq!(desk.drain(1), libc::EFBIG);
    let text = text(Path::new(&folder));
    let missing = 10_000 - text.lines().filter(|line| !line.starts_with("mcp-init: ")).count();
    desk.wait(|desk| desk.dropped.get(&1).is_some_and(|lines| usize::try_from(*lines).unwrap() >= missing));
    println!("dropped={}", desk.dropped[&1]);
}
