//! Programs for WASI 0.3. The guest is that of the tests of `crates/wasi`.

use crate::common::{Sandbox, outcome};
use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

const PROGRAMS: &[u8] = include_bytes!("../../../wasi/tests/guests/p3/programs.wasm");

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("app.wasm", PROGRAMS);
    sandbox
}

#[test]
fn programs_have_arguments_environment_and_streams() {
    let sandbox = sandbox();
    let args = [
        "--env", "A=1", "--cwd", "/work", "app.wasm", "hello", "you", "me",
    ];
    let run = sandbox.run(&args);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        run.stdout,
        "app.wasm greets you and me\nA is 1\nSome(\"/work\")\n"
    );
    assert_eq!(run.stderr, "an error\n");
    let artifact = sandbox.run(&["compile", "app.wasm", "-o", "app.mint"]);
    assert_eq!(artifact.code, Some(0), "{artifact:?}");
    assert_eq!(
        sandbox.succeed(&["--allow-precompiled", "app.mint", "hello"]),
        "app.mint greets \nNone\n"
    );
}

#[test]
fn programs_end_with_their_exit_codes() {
    let sandbox = sandbox();
    for (program, code) in [
        (&["hello"][..], 0),
        (&["fail"], 1),
        (&["exit", "0"], 0),
        (&["exit", "7"], 7),
        (&["exit-ok"], 0),
    ] {
        let args = [&["app.wasm"], program].concat();
        let run = sandbox.run(&args);
        assert_eq!(run.code, Some(code), "{program:?}: {run:?}");
    }
    // The guest reports its own panic, too.
    let run = sandbox.run(&["app.wasm", "trap"]);
    assert_eq!(run.code, Some(134), "{run:?}");
    for text in [
        "a panic of the guest",
        "wasm trap: wasm `unreachable`",
        "wasm backtrace",
    ] {
        assert!(run.stderr.contains(text), "{run:?}");
    }
}

#[test]
fn standard_streams_pass_all_bytes() {
    let sandbox = sandbox();
    let text: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    sandbox.write("in", &text);
    for program in ["cat", "pass"] {
        for line in [
            format!("$MINTAGE app.wasm {program} < in > out"),
            format!("cat in | $MINTAGE app.wasm {program} | cat > out"),
            format!("$MINTAGE --stdin in --stdout out app.wasm {program}"),
        ] {
            let run = sandbox.shell(&line);
            assert_eq!(run.code, Some(0), "{line}: {run:?}");
            assert!(
                fs::read_to_string(sandbox.path("out")).unwrap() == text,
                "{line}"
            );
            fs::remove_file(sandbox.path("out")).unwrap();
        }
        let run = sandbox.shell(&format!("$MINTAGE app.wasm {program} < /dev/null"));
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    }
}

/// Bytes are passed on at once, though more may follow.
#[test]
fn input_is_not_waited_for_longer_than_needed() {
    let sandbox = sandbox();
    for program in ["cat", "pass"] {
        let mut child = sandbox
            .command(&["app.wasm", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        for _ in 0..3 {
            stdin.write_all(b"ping").unwrap();
            let mut bytes = [0; 4];
            stdout.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"ping");
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn programs_may_use_both_versions() {
    let printed = sandbox().succeed(&["app.wasm", "both-versions"]);
    assert_eq!(
        printed,
        "this is 0.2\nand this 0.3\nSome(\"both-versions\")\n"
    );
}

#[test]
fn programs_have_folders() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("folder")).unwrap();
    let args = ["--dir", "folder::/files", "app.wasm", "files"];
    assert_eq!(sandbox.succeed(&args), "all\n");
}

#[test]
fn waiting_programs_are_stopped() {
    let sandbox = sandbox();
    for program in ["wait", "cat", "spin"] {
        let start = Instant::now();
        let mut child = sandbox
            .command(&["--timeout", "200ms", "app.wasm", program])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _open = child.stdin.take();
        let outcome = outcome(child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(124), "{outcome:?}");
        let stderr = &outcome.stderr;
        assert!(stderr.contains("timed out after 200ms"), "{stderr}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn the_network_is_closed_unless_it_is_opened() {
    let sandbox = sandbox();
    let denied = ["app.wasm", "denied", "127.0.0.1:80"];
    assert_eq!(sandbox.succeed(&denied), "denied\n");
    for program in ["udp", "tcp-slow-accept"] {
        let printed = sandbox.succeed(&["--inherit-network", "app.wasm", program]);
        assert!(!printed.is_empty());
    }
    assert_eq!(
        sandbox.succeed(&["app.wasm", "lookup", "localhost"]),
        "ErrorCode::AccessDenied\n"
    );
}
