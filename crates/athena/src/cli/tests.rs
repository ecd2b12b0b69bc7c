//! The whole command line: arguments to JSON to schema, and the help of every command.

use super::arguments::{Stdin, as_typed, input};
use super::{Needed, help, render, selected};
use crate::commands;
use crate::terminal::Style;
use athena_core::schema::{self, Components};
use athena_core::{Ctx, Effect, Operation, Registry, Result, Spec};
use clap::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Paints a picture. It dries\nslowly.
///
/// Use it for walls.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct Paint {
    /// What to paint.
    #[schemars(length(min = 1))]
    subject: String,
    /// How many copies.
    #[schemars(range(min = 1, max = 9))]
    #[serde(default = "one")]
    copies: u32,
    /// The share of red.
    #[schemars(range(min = 0, max = 1))]
    red: Option<f64>,
    /// Words to find it by.
    #[serde(default)]
    tags: Vec<String>,
    /// The sizes in centimetres.
    #[serde(default)]
    sizes: Vec<i64>,
    /// Paint a frame around it.
    #[serde(default = "yes")]
    frame: bool,
    /// Sign it.
    #[serde(default)]
    sign: bool,
    /// Show it to others.
    public: Option<bool>,
    /// The style.
    #[serde(default)]
    style: PaintStyle,
    /// Several styles.
    #[serde(default)]
    further_styles: Vec<PaintStyle>,
    /// Where it comes from.
    origin: Option<Origin>,
    /// Anything else.
    metadata: Option<Map<String, Value>>,
    /// The mixture of paints.
    #[serde(default)]
    mixture: Vec<f32>,
    /// Parts, each painted alone.
    #[serde(default)]
    parts: Vec<Origin>,
    /// When it has to be ready.
    due_at: Option<jiff::Timestamp>,
    /// When the subject was seen.
    occurred_at: Option<athena_memory::events::When>,
    /// Pictures that it takes the place of.
    #[schemars(inner(range(min = 1)))]
    #[serde(default)]
    replaces: Vec<i64>,
    /// The project.
    project: Option<String>,
    /// A field that would collide with an option of every command.
    config: Option<String>,
}

/// A style.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
enum PaintStyle {
    /// With thick strokes. Dries slowly.
    #[default]
    Thick,
    /// With fine lines.
    Fine,
}

/// Where a picture comes from.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct Origin {
    /// The painter.
    painter: String,
    /// The year.
    year: Option<i32>,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// A picture.
#[derive(Serialize, JsonSchema)]
struct Picture {
    /// Its id.
    id: i64,
}

impl Operation for Paint {
    const SPEC: Spec = Spec::create("picture.paint", "/pictures")
        .command(&["picture", "paint"])
        .positional(&["subject"])
        .short(&[("copies", 'c')])
        .stdin("subject");
    type Output = Picture;

    async fn call(self, _ctx: &Ctx) -> Result<Picture> {
        Ok(Picture { id: 1 })
    }
}

/// Removes a picture for good.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct Burn {
    /// The picture's id.
    id: i64,
    /// A note.
    note: Option<String>,
}

impl Operation for Burn {
    const SPEC: Spec = Spec::act("picture.burn", "/pictures/{id}/burn")
        .destructive()
        .command(&["picture", "burn"])
        .positional(&["id", "note"])
        .stdin("note");
    type Output = Picture;

    async fn call(self, _ctx: &Ctx) -> Result<Picture> {
        Ok(Picture { id: self.id })
    }
}

fn registry() -> Registry {
    Registry::new().with::<Paint>().with::<Burn>()
}

/// The command with everything in it.
fn command(registry: &Registry, others: Vec<(&'static str, Command)>) -> Command {
    super::command(registry, others, &Needed::everything())
}

/// What stands on standard input; `None` is a terminal.
struct Typed(Option<&'static str>);

impl Stdin for Typed {
    fn is_terminal(&self) -> bool {
        self.0.is_none()
    }

    fn read(&mut self) -> Result<String> {
        Ok(self.0.unwrap_or_default().to_owned())
    }
}

/// Returns the input that a command line makes, or why there is none.
fn typed(arguments: &[&str], stdin: Option<&'static str>) -> Result<Value, String> {
    let registry = registry();
    let line = ["athena", "picture"].iter().chain(arguments);
    let matches = command(&registry, Vec::new())
        .try_get_matches_from(line)
        .map_err(|error| error.to_string())?;
    let (entry, matches) = selected(&registry, &matches).ok_or("no operation")?;
    let mut input = input(entry, registry.components(), matches, &mut Typed(stdin))
        .map_err(|error| error.to_string())?;
    schema::accept(&entry.input, registry.components(), &mut input)
        .map_err(|error| error.to_string())?;
    Ok(input)
}

fn check(arguments: &[&str], expected: Value) {
    assert_eq!(typed(arguments, None), Ok(expected), "{arguments:?}");
}

#[test]
fn arguments_become_the_input() {
    check(&["paint", "a dog"], json!({"subject": "a dog"}));
    check(
        &[
            "paint", "a dog", "-c", "2", "--red", "0.5", "--tag", "a,b", "--tag", "c", "--size",
            "-3", "--size", "4",
        ],
        json!({"subject": "a dog", "copies": 2, "red": 0.5, "tags": ["a,b", "c"], "sizes": [-3, 4]}),
    );
    check(
        &["paint", "x", "--tags", "a"],
        json!({"subject": "x", "tags": ["a"]}),
    );
    check(
        &["paint", "x", "--style", "fine", "--further-style", "thick"],
        json!({"subject": "x", "style": "fine", "further_styles": ["thick"]}),
    );
    check(
        &["paint", "x", "--no-frame", "--sign"],
        json!({"subject": "x", "frame": false, "sign": true}),
    );
    check(
        &["paint", "x", "--public"],
        json!({"subject": "x", "public": true}),
    );
    check(
        &["paint", "x", "--public=false"],
        json!({"subject": "x", "public": false}),
    );
    check(
        &[
            "paint",
            "x",
            "--origin-painter",
            "Ada",
            "--origin-year",
            "1840",
        ],
        json!({"subject": "x", "origin": {"painter": "Ada", "year": 1840}}),
    );
    check(
        &[
            "paint",
            "x",
            "--metadata-json",
            r#"{"a": [1]}"#,
            "--mixture-json",
            "[0.25, 1]",
        ],
        json!({"subject": "x", "metadata": {"a": [1]}, "mixture": [0.25, 1]}),
    );
    check(
        &["paint", "x", "--parts-json", r#"[{"painter": "A"}]"#],
        json!({"subject": "x", "parts": [{"painter": "A"}]}),
    );
    check(
        &["paint", "x", "--due-at", "2024-03-15T12:00:00Z"],
        json!({"subject": "x", "due_at": "2024-03-15T12:00:00Z"}),
    );
    check(
        &["paint", "x", "--config-value", "c"],
        json!({"subject": "x", "config": "c"}),
    );
    check(&["burn", "7", "--yes"], json!({"id": 7}));
}

#[test]
fn the_project_is_an_option_of_every_command() {
    check(
        &["paint", "x", "--project", "p"],
        json!({"subject": "x", "project": "p"}),
    );
    let registry = registry();
    let line = [
        "athena",
        "--project",
        "p",
        "--json",
        "picture",
        "paint",
        "x",
    ];
    let matches = command(&registry, Vec::new())
        .try_get_matches_from(line)
        .unwrap();
    let (entry, matches) = selected(&registry, &matches).unwrap();
    let input = input(entry, registry.components(), matches, &mut Typed(None)).unwrap();
    assert_eq!(input, json!({"subject": "x", "project": "p"}));
}

#[test]
fn whole_inputs_are_json_and_options_replace_their_fields() {
    check(
        &["paint", "--input-json", r#"{"subject": "x", "copies": 3}"#],
        json!({"subject": "x", "copies": 3}),
    );
    check(
        &[
            "paint",
            "y",
            "--input-json",
            r#"{"subject": "x", "copies": 3}"#,
        ],
        json!({"subject": "y", "copies": 3}),
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"subject": "z"}"#).unwrap();
    check(
        &[
            "paint",
            "--input-json",
            &format!("@{}", file.path().display()),
        ],
        json!({"subject": "z"}),
    );
    assert_eq!(
        typed(
            &["paint", "--input-json", "-"],
            Some("{\"subject\": \"s\"}")
        ),
        Ok(json!({"subject": "s"}))
    );
    assert_eq!(
        typed(&["paint", "--input-json", "[]"], None),
        Err("the input must be a JSON object".into())
    );
    assert!(
        typed(&["paint", "--input-json", "{"], None)
            .unwrap_err()
            .starts_with("`--input-json` is not JSON")
    );
}

#[test]
fn content_is_read_from_standard_input() {
    assert_eq!(
        typed(&["paint", "-"], Some("a dog\n")),
        Ok(json!({"subject": "a dog"}))
    );
    assert_eq!(
        typed(&["paint"], Some("a\ndog\r\n")),
        Ok(json!({"subject": "a\ndog"}))
    );
    assert_eq!(typed(&["paint"], None), Err("`subject` is required".into()));
    // An optional field is read only on request: the input may never end.
    assert_eq!(typed(&["burn", "1"], Some("note")), Ok(json!({"id": 1})));
    assert_eq!(
        typed(&["burn", "1", "-"], Some("note")),
        Ok(json!({"id": 1, "note": "note"}))
    );
}

#[test]
fn mistakes_name_what_is_allowed() {
    let wrong = |arguments: &[&str]| typed(arguments, None).unwrap_err();
    assert_eq!(
        wrong(&["paint", "x", "--copies", "10"]),
        "`copies` must be at most 9, is 10"
    );
    assert_eq!(
        wrong(&["paint", "x", "--copies", "many"]),
        "`copies` must be an integer, not a string"
    );
    assert_eq!(
        wrong(&["paint", "x", "--origin-year", "1840"]),
        "`origin.painter` is required"
    );
    assert!(
        wrong(&["paint", "x", "--style", "fin"]).contains("similar"),
        "the nearest value is named"
    );
    assert!(wrong(&["paint", "x", "--metadata-json", "{"]).starts_with("`metadata` is not JSON"));
    assert!(
        wrong(&["paint", "x", "--coipes", "1"]).contains("--copies"),
        "the nearest option is named"
    );
    assert!(wrong(&["burn"]).contains("<ID>"));
    assert_eq!(
        wrong(&["paint", "x", "--due-at", "soon"]),
        "`due_at` is `soon`, which is no time; write one as 2026-03-05T14:30, 2026-03-05, 2026-03, 2026, now, today, \
         tomorrow, or 3d for in 3 days (w, d, h, m)"
    );
}

#[test]
fn people_read_of_options_where_programs_read_of_fields() {
    let registry = registry();
    let entry = registry.get("picture.paint").unwrap();
    let check = |input: Value, expected: &str| {
        let mut input = input;
        let components = registry.components();
        let error = schema::accept(&entry.input, components, &mut input).unwrap_err();
        let field = error.field().map(str::to_owned);
        let error = as_typed(error, entry, components);
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.field().map(str::to_owned), field);
    };
    check(
        json!({"subject": "x", "replaces": [0]}),
        "`--replaces` must be at least 1, is 0",
    );
    check(
        json!({"subject": "x", "tags": [1]}),
        "`--tag` must be a string, not a number",
    );
    check(
        json!({"subject": "x", "origin": {}}),
        "`--origin-painter` is required",
    );
    check(json!({"subject": ""}), "`subject` must not be empty");
    check(
        json!({"subject": "x", "frame": 1}),
        "`--no-frame` must be a boolean, not a number",
    );
    let other = athena_core::Error::invalid("elsewhere", "is wrong");
    let other = as_typed(other, entry, registry.components());
    assert_eq!(other.to_string(), "`elsewhere` is wrong");
}

#[test]
fn times_are_typed_as_people_know_them() {
    check(
        &["paint", "x", "--due-at", "2024-03-15T12:00:00+02:00"],
        json!({"subject": "x", "due_at": "2024-03-15T12:00:00+02:00"}),
    );
    // What is only known by its date stays a date.
    for date in ["2024-03-15", "2024-03", "2024"] {
        check(
            &["paint", "x", "--occurred-at", date],
            json!({"subject": "x", "occurred_at": date}),
        );
    }
    let now = jiff::Timestamp::now();
    let read = |option: &str, text: &str| {
        let input = typed(&["paint", "x", option, text], None).unwrap();
        let field = option.trim_start_matches('-').replace('-', "_");
        let time: jiff::Timestamp = input[field].as_str().unwrap().parse().unwrap();
        time.duration_since(now).as_secs_f64() / 3_600.0
    };
    assert!((read("--due-at", "2h") - 2.0).abs() < 0.1);
    assert!((read("--occurred-at", "2h") + 2.0).abs() < 0.1);
    assert!(read("--occurred-at", "now").abs() < 0.1);
    assert!(read("--due-at", "tomorrow") > 0.0);
}

#[test]
fn lists_whose_names_are_verbs_keep_them() {
    for option in ["--replaces", "--replace"] {
        check(
            &["paint", "x", option, "1", option, "2"],
            json!({"subject": "x", "replaces": [1, 2]}),
        );
    }
}

#[test]
fn what_is_required_is_shown_as_required() {
    let registry = registry();
    let help = |line: &str| {
        let needed = Needed::by(&line.split(' ').map(Into::into).collect::<Vec<_>>());
        let mut root = super::command(&registry, Vec::new(), &needed);
        root.build();
        let picture = root.find_subcommand_mut("picture").unwrap();
        let burn = picture.find_subcommand_mut("burn").unwrap();
        burn.render_help().to_string()
    };
    let shown = help("athena picture burn --help");
    assert!(shown.contains("burn [OPTIONS] <ID> [NOTE]"), "{shown}");
    assert!(help("athena picture burn --input-json=- --help").contains("[ID]"));
}

#[test]
fn only_what_a_command_line_may_need_is_described() {
    let needed = |line: &str| Needed::by(&line.split(' ').map(Into::into).collect::<Vec<_>>());
    assert!(needed("athena --json picture paint x").command(&["picture", "paint"]));
    assert!(!needed("athena picture burn 1").command(&["picture", "paint"]));
    for line in ["athena --help", "athena help", "athena", "athena --json"] {
        assert!(needed(line).list(), "{line}");
    }
    assert!(!needed("athena picture burn 1").list());
    let registry = registry();
    let root = super::command(&registry, Vec::new(), &needed("athena picture burn 1"));
    let picture = root.find_subcommand("picture").unwrap();
    let count = |name: &str| {
        picture
            .find_subcommand(name)
            .unwrap()
            .get_arguments()
            .count()
    };
    assert_eq!(count("paint"), 0);
    assert!(count("burn") > 0);
}

#[test]
fn help_states_limits_defaults_and_values() {
    let registry = registry();
    let mut root = command(&registry, Vec::new());
    let paint = root
        .find_subcommand_mut("picture")
        .unwrap()
        .find_subcommand_mut("paint")
        .unwrap();
    let help = paint.render_long_help().to_string();
    for expected in [
        "How many copies [1 to 9] [default: 1]",
        "The share of red [0 to 1]",
        "--tag <TAG>",
        "--size <N>",
        "--no-frame",
        "--public[=<BOOL>]",
        "With thick strokes",
        "--origin-painter <PAINTER>",
        "--metadata-json <JSON>",
        "--due-at <TIME>",
        "--replaces <N>",
        "tomorrow, or 3d for in 3 days",
        "[SUBJECT]",
    ] {
        assert!(help.contains(expected), "`{expected}` is not in\n{help}");
    }
    assert!(
        !help.contains("default: false") && !help.contains("default: []"),
        "{help}"
    );
}

#[test]
fn operations_without_words_are_not_shown_and_collisions_are_the_binarys() {
    let registry = crate::compose::registry();
    let root = command(&registry, commands::others());
    for words in [
        "remember",
        "recall",
        "import",
        "export",
        "serve",
        "mcp",
        "quickstart",
        "doctor",
        "eval",
        "call",
    ] {
        assert_eq!(
            root.get_subcommands()
                .filter(|command| command.get_name() == words)
                .count(),
            1,
            "`{words}`"
        );
    }
}

#[test]
fn a_group_of_the_binary_takes_up_operations() {
    let group = Command::new("picture")
        .about("About pictures")
        .subcommand(Command::new("hang").about("By the binary"))
        .subcommand(Command::new("burn").about("By the binary"));
    let mut root = command(&registry(), vec![("Art", group)]);
    let help = root.render_help().to_string();
    assert!(help.contains("Art:\n  picture  About pictures\n"), "{help}");
    let picture = root.find_subcommand("picture").unwrap();
    let about = |name| {
        picture
            .find_subcommand(name)?
            .get_about()
            .map(ToString::to_string)
    };
    assert_eq!(about("hang").as_deref(), Some("By the binary"));
    assert_eq!(about("burn").as_deref(), Some("By the binary"));
    assert_eq!(about("paint").as_deref(), Some("Paints a picture"));
    assert_eq!(picture.get_subcommands().count(), 3);
}

/// Calls `check` with every command and its full name.
fn each_command(command: &mut Command, name: &str, check: &mut dyn FnMut(&str, &mut Command)) {
    check(name, command);
    for inner in command.get_subcommands_mut() {
        let name = format!("{name} {}", inner.get_name());
        each_command(inner, &name, check);
    }
}

#[test]
fn every_command_has_help_within_the_width() {
    let registry = crate::compose::registry();
    let mut root = command(&registry, commands::others());
    root.build();
    root.clone().debug_assert();
    let mut commands = 0;
    each_command(&mut root, "athena", &mut |name, command| {
        commands += 1;
        assert!(
            command
                .get_about()
                .is_some_and(|about| !about.to_string().trim().is_empty()),
            "`{name}` has no help"
        );
        for argument in command
            .get_arguments()
            .filter(|argument| argument.get_id() != "help")
        {
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                !help.trim().is_empty(),
                "`{}` of `{name}` has no help",
                argument.get_id()
            );
        }
        for text in [command.render_help(), command.render_long_help()] {
            for line in text.to_string().lines() {
                assert!(line.chars().count() <= help::WIDTH, "`{name}`: {line}");
            }
        }
    });
    assert!(
        commands
            > registry
                .entries()
                .iter()
                .filter(|entry| !entry.spec.cli.command.is_empty())
                .count()
    );
}

#[test]
fn required_arguments_stand_before_others() {
    let registry = crate::compose::registry();
    for entry in registry.entries() {
        super::generate::command(entry, registry.components(), false).debug_assert();
    }
}

#[test]
fn every_operation_takes_its_fields_from_the_command_line() {
    let registry = crate::compose::registry();
    for entry in registry.entries() {
        let fields = super::generate::fields(entry, registry.components());
        for (name, _) in entry.fields().filter(|(name, _)| *name != "project") {
            assert!(
                fields.iter().any(|field| field.path[0] == name),
                "`{name}` of `{}`",
                entry.spec.name
            );
        }
    }
}

/// Fields that say which record it is, best first.
const IDENTIFYING: &[&str] = &[
    "title",
    "content",
    "name",
    "resource",
    "text",
    "session",
    "agent",
    "queue",
    "operation",
    "summary",
];

#[test]
fn lists_and_hits_show_what_identifies_their_records() {
    let registry = crate::compose::registry();
    let components = registry.components();
    let mut lists = 0;
    for entry in registry.entries() {
        for list in ["items", "hits"] {
            let Some(item) = element(&entry.output["properties"][list], components) else {
                continue;
            };
            lists += 1;
            for whole in [true, false] {
                check_list(entry.spec.name, list, item, components, whole);
            }
        }
    }
    assert!(lists > 20, "{lists}");
}

/// Checks that what identifies a record is shown, be all its fields there or only what must be.
fn check_list(name: &str, list: &str, item: &Value, components: &Components, whole: bool) {
    let sample = sample("", item, components, whole);
    let known = identifying(&sample);
    let answer = json!({list: [sample.clone(), sample]});
    let shown = render::answer(&answer, Style::plain());
    assert!(shown.lines().count() > 2, "`{name}`: {shown}");
    if let Some(known) = known {
        assert!(shown.contains(&known), "`{name}`, `{known}`: {shown}");
    }
    let widest = shown.lines().map(crate::terminal::columns).max();
    if list == "items" {
        assert!(widest <= Some(Style::plain().width), "`{name}`: {shown}");
    }
}

/// Returns the value of the field that says which record a record is, or the one in it.
fn identifying(record: &Value) -> Option<String> {
    let of = |record: &Value| {
        let mut names = IDENTIFYING.iter();
        names.find_map(|name| record[name].as_str().map(str::to_owned))
    };
    let inner = record
        .as_object()?
        .values()
        .filter(|value| value["id"].is_number());
    inner.filter_map(of).next().or_else(|| of(record))
}

/// Returns what a list consists of.
fn element<'a>(list: &'a Value, components: &'a Components) -> Option<&'a Value> {
    let list = schema::resolve(list, components);
    let element = schema::resolve(list.get("items")?, components);
    element.get("properties").map(|_| element)
}

/// Makes a value of a schema; of an object the required fields, or all.
fn sample(name: &str, schema: &Value, components: &Components, whole: bool) -> Value {
    let schema = schema::resolve(schema, components);
    if let Some(choices) = schema::choices(schema, components) {
        return choices[0].clone();
    }
    match schema["type"].as_str() {
        Some("object") => sample_object(schema, components, whole),
        Some("array") => json!([sample(name, &schema["items"], components, whole)]),
        Some("integer") => json!(7),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        _ if schema["format"] == "date-time" => json!("2026-03-05T14:30:00Z"),
        _ => json!(format!("its {name}")),
    }
}

fn sample_object(schema: &Value, components: &Components, whole: bool) -> Value {
    let required = schema["required"].as_array();
    let is_required = |name: &String| required.is_some_and(|names| names.contains(&json!(name)));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties.filter(|(name, _)| whole || is_required(name));
    fields
        .map(|(name, schema)| (name.clone(), sample(name, schema, components, whole)))
        .collect()
}

#[test]
fn times_of_every_answer_are_shown_in_one_form() {
    let registry = crate::compose::registry();
    for entry in registry.entries() {
        let sample = sample("", &entry.output, registry.components(), true);
        let shown = match entry.spec.effect {
            Effect::Write => render::change(entry.spec.name, &sample, Style::plain()),
            _ => render::answer(&sample, Style::plain()),
        };
        assert!(
            !shown.contains("2026-03-05T"),
            "`{}`: {shown}",
            entry.spec.name
        );
    }
}
