//! A plug-in for version 1 of the editor: title case, and a header from a file of the project.

wit_bindgen::generate!({ path: "../plugins/wit/v1", world: "plugin" });

use editor::plugin::buffers::Buffer;
use editor::plugin::project;
use exports::editor::plugin::commands::{Guest, GuestCommand};

struct Titles;

enum Command {
    TitleCase,
    Header,
}

impl Guest for Titles {
    type Command = Command;

    fn names() -> Vec<String> {
        vec!["title-case".into(), "header".into()]
    }
}

impl GuestCommand for Command {
    fn new(name: String) -> Command {
        match name.as_str() {
            "title-case" => Command::TitleCase,
            "header" => Command::Header,
            other => panic!("there is no command `{other}`"),
        }
    }

    fn title(&self) -> String {
        match self {
            Command::TitleCase => "Start each word with a capital".into(),
            Command::Header => "Insert the project's header".into(),
        }
    }

    fn run(&self, on: &Buffer) -> Result<String, String> {
        match self {
            Command::TitleCase => {
                on.set_text(&title_case(&on.text()));
                Ok(format!("{} is in title case", on.name()))
            }
            Command::Header => {
                let header = project::read("HEADER")?;
                on.set_text(&(header + &on.text()));
                Ok("inserted the header".into())
            }
        }
    }
}

fn title_case(text: &str) -> String {
    let mut is_start = true;
    let mut changed = String::with_capacity(text.len());
    for character in text.chars() {
        match is_start {
            true => changed.extend(character.to_uppercase()),
            false => changed.push(character),
        }
        is_start = character.is_whitespace();
    }
    changed
}

export!(Titles);
