//! A plug-in for version 2 of the editor: two useful commands, and three that a host must survive.

wit_bindgen::generate!({ path: "../plugins/wit/v2", world: "plugin" });

use editor::plugin::buffers::{Buffer, Edit, Marker};
use editor::plugin::project;
use exports::editor::plugin::commands::{Guest, GuestCommand, Outcome};
use std::cell::RefCell;

struct Checks;

struct Command {
    name: String,
    /// The remarks that the last run made. They go with the command.
    markers: RefCell<Vec<Marker>>,
}

const NAMES: [(&str, &str); 5] = [
    ("trim", "Remove spaces at the ends of lines"),
    ("mark", "Mark the words that the project forbids"),
    ("trap", "Trap"),
    ("hoard", "Take all memory"),
    ("spin", "Never end"),
];

impl Guest for Checks {
    type Command = Command;

    fn names() -> Vec<String> {
        NAMES.iter().map(|(name, _)| name.to_string()).collect()
    }
}

impl GuestCommand for Command {
    fn new(name: String) -> Command {
        Command {
            name,
            markers: RefCell::default(),
        }
    }

    fn title(&self) -> String {
        let found = NAMES.iter().find(|(name, _)| *name == self.name);
        found.map_or("", |(_, title)| title).into()
    }

    fn run(&self, on: &Buffer) -> Result<Outcome, String> {
        match self.name.as_str() {
            "trim" => trim(on),
            "mark" => self.mark(on),
            "trap" => panic!("as asked"),
            "hoard" => hoard(),
            "spin" => loop {
                std::hint::spin_loop();
            },
            other => Err(format!("there is no command `{other}`")),
        }
    }
}

fn trim(on: &Buffer) -> Result<Outcome, String> {
    let text = on.text();
    let mut edits = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        let kept = content.trim_end().len();
        if kept < content.len() {
            edits.push(Edit {
                start: (start + kept) as u32,
                end: (start + content.len()) as u32,
                text: String::new(),
            });
        }
        start += line.len();
    }
    on.edit(&edits).map_err(|error| format!("{error:?}"))?;
    Ok(Outcome::Changed(edits.len() as u32))
}

impl Command {
    /// Marks the lines that have a word from the file `FORBIDDEN`.
    fn mark(&self, on: &Buffer) -> Result<Outcome, String> {
        let forbidden = project::read("FORBIDDEN")?;
        let text = on.text();
        let mut markers = Vec::new();
        for (line, content) in text.lines().enumerate() {
            for word in forbidden.lines().filter(|word| content.contains(word)) {
                let remark = format!("`{word}` is forbidden here");
                markers.push(Marker::new(on, line as u32, &remark));
            }
        }
        let count = markers.len();
        // Drops the remarks of the run before.
        self.markers.replace(markers);
        Ok(Outcome::Message(format!("{count} remarks")))
    }
}

fn hoard() -> Result<Outcome, String> {
    let mut all = Vec::new();
    loop {
        let mut more: Vec<u8> = Vec::new();
        if more.try_reserve_exact(1 << 20).is_err() {
            return Err(format!("the limit is at {} MiB", all.len()));
        }
        all.push(more);
    }
}

export!(Checks);
