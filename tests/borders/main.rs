//! The borders between the rooms of `src/`, and how large everything may be: read from the sources themselves.

mod function;
mod source;

use function::Function;
use source::{Source, Word, is_part_of};

/// Which rooms of this crate a room may name with `crate::`. The server, which joins them all, is free.
const NEIGHBOURS: [(&str, &[&str]); 16] = [
    ("src/wire", &["wire"]),
    ("src/ear", &["ear"]),
    ("src/mesh", &["ear", "mesh"]),
    ("src/engine", &["ear", "engine", "mesh", "metrics", "wire"]),
    ("src/inspection", &["engine", "mesh", "metrics", "wire"]),
    ("src/control", &["config", "engine", "inspection", "mesh"]),
    ("src/router", &["control", "ear", "engine", "inspection", "mesh", "metrics", "router"]),
    ("src/metrics", &["wire"]),
    ("src/protocols", &["ear", "engine", "http", "metrics", "wire"]),
    ("src/http", &["auth", "ear", "engine", "inspection", "mesh", "metrics", "wire"]),
    ("src/auth", &["auth", "wire"]),
    ("src/brokers", &["brokers", "config", "control", "ear", "engine", "mesh", "metrics", "router", "wire"]),
    ("src/client", &["client", "config", "wire"]),
    ("src/config", &[]),
    ("src/doctor", &["auth", "client", "config", "doctor", "ear", "server", "wire"]),
    ("src/logging", &["config"]),
];

/// Words that a room must not know, and why.
const UNKNOWN: [(&str, &[&str], &str); 6] = [
    ("src/engine", &["workflow", "echo", "flux", "protocols"], "the engine knows protocols by their trait only"),
    ("src/engine", &["redis", "redis_protocol", "embedded", "resp", "brokers"], "it knows nothing of brokers"),
    ("src/engine", &["http", "server"], "it is used by them"),
    ("src/engine", &["serde_json"], "it never looks into an event"),
    ("src/engine", &["Instant", "SystemTime"], "it is handed its time"),
    (
        "src/wire",
        &["net", "time", "thread", "fs", "glommio", "rustix", "socket2", "tracing"],
        "formats are pure functions: no socket, no clock, no log",
    ),
];

/// Words of what cores share.
const SHARED: [&str; 8] = ["Arc", "Mutex", "RwLock", "Condvar", "OnceLock", "LazyLock", "AtomicBool", "AtomicU64"];

/// Who may share what, and why. Everybody else owns what they use.
const SHARING: [(&str, &[&str], &str); 9] = [
    ("src/mesh", &["Arc"], "lanes are how cores meet"),
    ("src/router", &["Arc"], "holds the doorbell of its node and the broker's counters"),
    ("src/ear/doorbell", &["Arc", "AtomicBool"], "doorbells are how they wake each other"),
    (
        "src/metrics",
        &["Arc", "AtomicBool", "AtomicU64", "Mutex", "OnceLock"],
        "counters have one writer and many readers",
    ),
    ("src/http/census", &["Arc", "Mutex"], "an address has connections on every shard, and its limit is exact"),
    ("src/server", &["Arc"], "hands each thread its doorbell and its counters, and the signal its flag"),
    ("src/client", &["Arc"], "TLS wants its settings in one; it is a process of its own beside the cores"),
    ("src/brokers/redis", &["Arc"], "the broker's status is read by the shards"),
    ("src/brokers/embedded", &["Arc"], "the broker's status is read by the shards"),
];

/// What the engine's rooms beside the mesh may hold a handle to.
const HANDLES: [&str; 2] = ["<NodeMetrics>", "<Doorbell>"];

/// Where the kernel is handed pointers.
const UNSAFE: &str = "src/server/ring.rs";

/// Nobody needs these anywhere else.
const NOWHERE: [(&str, &str); 5] = [
    ("unsafe", "only what hands pointers to the kernel needs it"),
    ("todo", "unfinished work does not compile into a server"),
    ("unimplemented", "unfinished work does not compile into a server"),
    ("dbg", "the log is for that"),
    ("thread_local", "a shard's state stands in its shard"),
];

// The ratchet: these numbers may be lowered, never raised. What grows beyond one is to be cut into two nouns.

/// Code lines of a file, tests included: a noun that can be read at one go.
const FILE_CODE_LINES_MAX: usize = 500;
/// Tables may be longer: nobody reads them from top to bottom.
const TABLES: [&str; 1] = ["src/config/table.rs"];
/// Lines of a function from its signature to its end: one screen.
const FUNCTION_LINES_MAX: usize = 60;
/// Lines of a test: its body is a table.
const TEST_LINES_MAX: usize = 70;
/// Lines that nine functions of ten keep to, tests not counted.
const FUNCTION_LINES_OF_NINE_IN_TEN_MAX: usize = 25;
/// Parameters of a function, `self` not counted.
const PARAMETERS_MAX: usize = 5;
/// Code lines of the engine without its tests: an afternoon's reading.
const ENGINE_CODE_LINES_MAX: usize = 1_993;

/// Fails with one line per offence.
fn check(rule: &str, offences: impl IntoIterator<Item = String>) {
    let offences: Vec<String> = offences.into_iter().collect();
    assert!(offences.is_empty(), "{rule}\n  {}\n", offences.join("\n  "));
}

fn offence(source: &Source, word: Word<'_>, reason: &str) -> String {
    format!("{}:{}: `{}`: {reason}", source.path, source.line(word.at), word.text)
}

/// The words of a room that `is_wrong` finds.
fn offences<'a>(
    sources: &'a [Source],
    room: &'a str,
    reason: &'a str,
    is_wrong: impl Fn(&Source, Word<'_>) -> bool + 'a,
) -> impl Iterator<Item = String> + 'a {
    let wrong = move |source: &'a Source| {
        let words: Vec<Word<'_>> = source.words().filter(|word| is_wrong(source, *word)).collect();
        words.into_iter().map(move |word| offence(source, word, reason))
    };
    sources.iter().filter(move |source| is_part_of(&source.path, room)).flat_map(wrong)
}

#[test]
fn rooms_name_only_their_neighbours() {
    let sources = source::all();
    let is_stranger = |source: &Source, word: Word<'_>, neighbours: &[&str]| {
        let Some(path) = source.behind(word).strip_prefix("::").filter(|_| word.text == "crate") else { return false };
        let room: String = path.chars().take_while(|&letter| source::is_word_letter(letter)).collect();
        !neighbours.contains(&room.as_str())
    };
    let strangers = NEIGHBOURS.iter().flat_map(|(room, neighbours)| {
        let reason = "names a room that is not its neighbour, or several at once";
        offences(&sources, room, reason, move |source, word| is_stranger(source, word, neighbours))
    });
    check("rooms name only their neighbours", strangers);
}

#[test]
fn the_engine_knows_no_protocol_and_no_broker_and_the_formats_know_no_world() {
    let sources = source::all();
    let known = UNKNOWN
        .iter()
        .flat_map(|(room, words, reason)| offences(&sources, room, reason, move |_, word| words.contains(&word.text)));
    check("some words are unknown in some rooms", known);
}

#[test]
fn cores_share_memory_only_where_it_is_listed() {
    let sources = source::all();
    let is_listed = |source: &Source, word: &str| {
        SHARING.iter().any(|(room, words, _)| is_part_of(&source.path, room) && words.contains(&word))
    };
    let is_handle = |source: &Source, word: Word<'_>| {
        let behind = source.behind(word);
        let is_import = source.code[..word.at].ends_with("use std::sync::") && behind.starts_with(';');
        let is_known = HANDLES.iter().any(|handle| behind.starts_with(handle));
        word.text == "Arc" && (is_known || is_import || behind.starts_with("::clone("))
    };
    let is_wrong = |source: &Source, word: Word<'_>| {
        let is_ours = is_listed(source, word.text);
        let is_held = is_part_of(&source.path, "src/engine") && is_handle(source, word);
        is_shared(word) && !source.is_test(word.at) && !is_ours && !is_held
    };
    check("cores share nothing", offences(&sources, "src", "shared memory outside the listed places", is_wrong));
}

fn is_shared(word: Word<'_>) -> bool {
    SHARED.contains(&word.text) || word.text.starts_with("Atomic")
}

#[test]
fn a_permission_to_share_that_nobody_needs_is_taken_back() {
    let sources = source::all();
    let is_used = |room: &str, permitted: &str| {
        let in_room = sources.iter().filter(|source| is_part_of(&source.path, room));
        in_room
            .flat_map(|source| source.words().filter(|word| !source.is_test(word.at)))
            .any(|word| word.text == permitted)
    };
    let unused = SHARING.iter().flat_map(|(room, words, _)| {
        let unused = words.iter().filter(|word| !is_used(room, word));
        unused.map(move |word| format!("{room}: `{word}` is in the list and not in the code"))
    });
    check("permissions are used", unused);
}

#[test]
fn some_words_stand_nowhere() {
    let sources = source::all();
    let found = NOWHERE.iter().flat_map(|(unwanted, reason)| {
        offences(&sources, "src", reason, move |source, word| {
            word.text == *unwanted && !(*unwanted == "unsafe" && source.path == UNSAFE)
        })
    });
    check("some words stand nowhere", found);
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    let says = |source: &&Source| {
        let first = source.text.lines().next().unwrap_or_default();
        first.starts_with("//! ") || (source.path == "src/lib.rs" && first == "#![doc = include_str!(\"README.md\")]")
    };
    let sources = source::all();
    let silent = sources.iter().filter(|source| !says(source));
    check("a file begins with what it is", silent.map(|source| format!("{}:1: not a `//! …` line", source.path)));
}

#[test]
fn files_are_short() {
    let sources = source::all();
    let is_long =
        |source: &&Source| !TABLES.contains(&source.path.as_str()) && source.code_lines() > FILE_CODE_LINES_MAX;
    let long = sources.iter().filter(is_long);
    let describe = |source: &Source| {
        let lines = source.code_lines();
        format!("{}:{}: {lines} code lines of at most {FILE_CODE_LINES_MAX}", source.path, source.text.lines().count())
    };
    check("files are short", long.map(describe));
}

#[test]
fn the_engine_can_be_read_in_an_afternoon() {
    let sources = source::all();
    let engine: Vec<&Source> = sources.iter().filter(|source| is_part_of(&source.path, "src/engine")).collect();
    let lines: usize = engine.iter().map(|source| source.code_lines_without_tests()).sum();
    println!("engine: {lines} code lines of at most {ENGINE_CODE_LINES_MAX}");
    assert!(!engine.is_empty(), "there is an engine");
    assert!(lines <= ENGINE_CODE_LINES_MAX, "src/engine: {lines} code lines of at most {ENGINE_CODE_LINES_MAX}");
}

fn functions(sources: &[Source]) -> Vec<(&Source, Function)> {
    let of = |source| function::all(source).into_iter().map(move |function| (source, function));
    sources.iter().flat_map(of).collect()
}

fn describe((source, function): &(&Source, Function)) -> String {
    let Function { name, line, lines, parameters, .. } = function;
    format!("{}:{line}: `{name}` has {lines} lines and {parameters} parameters", source.path)
}

#[test]
fn a_function_fits_on_a_screen_and_takes_few_things() {
    let sources = source::all();
    let is_wrong = |(_, function): &&(&Source, Function)| {
        let lines_max = if function.is_test { TEST_LINES_MAX } else { FUNCTION_LINES_MAX };
        function.lines > lines_max || function.parameters > PARAMETERS_MAX
    };
    let rule = format!("a function has at most {FUNCTION_LINES_MAX} lines and {PARAMETERS_MAX} parameters");
    check(&rule, functions(&sources).iter().filter(is_wrong).map(describe));
}

#[test]
fn nine_functions_of_ten_are_short() {
    let sources = source::all();
    let mut functions = functions(&sources);
    functions.retain(|(_, function)| !function.is_test);
    functions.sort_by_key(|(_, function)| function.lines);
    let of_ten = |tenths: usize| functions[functions.len() * tenths / 10].1.lines;
    println!("{} functions: half have up to {} lines, nine in ten up to {}", functions.len(), of_ten(5), of_ten(9));
    let long = functions.iter().filter(|(_, function)| function.lines > FUNCTION_LINES_OF_NINE_IN_TEN_MAX);
    if of_ten(9) > FUNCTION_LINES_OF_NINE_IN_TEN_MAX {
        check("more than one function of ten is long", long.map(describe));
    }
}

#[test]
fn the_scan_tells_code_from_comments_literals_and_tests() {
    let table: [(&str, &[&str], usize); 8] = [
        ("// unsafe\n/* unsafe /* unsafe */ unsafe */ a\n", &["a"], 1),
        ("let text = \"unsafe \\\" unsafe\";", &["let", "text"], 1),
        ("let text = r#\"unsafe \" unsafe\"#; for_r", &["let", "text", "for_r"], 1),
        ("let text = br\"\\\"; a(b\"x\\\\\")", &["let", "text", "b", "a", "b"], 1),
        ("let quote = '\"'; let other = b'\\''; unsafe", &["let", "quote", "let", "other", "b", "unsafe"], 1),
        ("fn a<'b>(c: &'b str) -> char { 'é' }", &["fn", "a", "b", "c", "b", "str", "char"], 1),
        ("let text = \"two\n  lines\";\n\n", &["let", "text"], 2),
        ("a\n#[cfg(test)]\nmod tests {\n    b();\n}\nc", &["a", "c"], 2),
    ];
    for (text, words, code_lines) in table {
        let source = Source::new("src/a.rs".to_owned(), text.to_owned());
        let found = source.words().filter(|word| !source.is_test(word.at)).map(|word| word.text);
        assert_eq!(
            (found.collect::<Vec<_>>().as_slice(), source.code_lines_without_tests()),
            (words, code_lines),
            "{text}"
        );
    }
}

#[test]
fn the_scan_counts_lines_and_parameters() {
    let table: [(&str, Option<(usize, usize)>); 8] = [
        ("fn a() {}", Some((1, 0))),
        ("fn a(&mut self, b: u8) -> [u8; 4] {\n}\n", Some((2, 1))),
        ("fn a(\n    self: Box<Self>,\n    b: HashMap<u8, u8>,\n) where B: C {\n    d();\n}\n", Some((6, 1))),
        ("fn a<F: Fn(u8, u8) -> u8, const N: usize>(f: F, b: [u8; N]) { if b { c } }", Some((1, 2))),
        ("fn a((b, c): (u8, u8), d: impl Fn(u8, u8) -> u8, Ok(e) | Err(e): F) {}", Some((1, 3))),
        ("fn a(b: u8);", None),
        ("let a: fn(u8) -> u8 = b;", None),
        ("fn a(b: &str) { let c = \"}\"; /* } */ d('}') }\nfn", Some((1, 1))),
    ];
    for (text, expected) in table {
        let source = Source::new("src/a.rs".to_owned(), text.to_owned());
        let found = function::all(&source).first().map(|function| (function.lines, function.parameters));
        assert_eq!(found, expected, "{text}");
    }
}
