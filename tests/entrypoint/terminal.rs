//! On a terminal: keys and its size reach the program, which is in the foreground. `terminal.py` is who types.

use std::path::Path;

use crate::beside::same;
use crate::support::{skip, which};

#[test]
fn keys_and_size_reach_the_program() {
    if which("python3").is_none() {
        return skip("no python3 to make a terminal with");
    }
    let typist = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/entrypoint/terminal.py");
    let seen = same(|init| {
        let output = init.output(&["python3", typist.to_str().unwrap(), "%"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    });
    let wanted = "\
the program leads the terminal's foreground group, tini does not
Ctrl-C: int, exit 5
Ctrl-\\: quit, exit 6
resize: 40 132, exit 7
Ctrl-Z: the program is T, tini is not, after SIGCONT S; Ctrl-D: exit 0
";
    assert_eq!(seen, wanted);
}
