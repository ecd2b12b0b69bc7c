use super::brief::{Candidate, compose, tokens};
use super::{KnownItem, Section};

fn candidate(section: Section, id: i64, text: &str) -> Candidate {
    Candidate {
        section,
        kind: "memory",
        id,
        text: text.to_owned(),
        reason: "because".to_owned(),
        news: None,
    }
}

#[test]
fn the_budget_is_never_exceeded() {
    let texts = [
        "short",
        &"word ".repeat(300),
        "日本語の文。".repeat(60).as_str(),
        "x".repeat(900).as_str(),
    ]
    .map(str::to_owned);
    let all = |times: usize| -> Vec<Candidate> {
        let sections = [Section::Recent, Section::Rules, Section::Known];
        let texts = texts.iter().cycle().take(times).enumerate();
        texts
            .map(|(at, text)| candidate(sections[at % 3], i64::try_from(at).unwrap(), text))
            .collect()
    };
    for budget in [0, 1, 20, 50, 51, 120, 400, 3_000] {
        for count in [0, 1, 2, 7, 40] {
            let brief = compose(all(count), budget, None);
            assert!(brief.tokens <= budget, "{} of {budget}", brief.tokens);
            assert_eq!(brief.tokens, tokens(&brief.text));
            assert_eq!(brief.items.len() + brief.left_out.len(), count);
        }
    }
}

#[test]
fn sections_have_an_order_and_long_things_give_way() {
    let told = vec![
        candidate(Section::Known, 1, &"a fact of many words. ".repeat(40)),
        candidate(Section::Known, 2, "a short fact"),
        candidate(Section::Rules, 3, "a rule"),
    ];
    let brief = compose(told, 60, None);
    let kept: Vec<i64> = brief.items.iter().map(|item| item.id).collect();
    assert_eq!(kept, [3, 2]);
    assert_eq!(brief.left_out[0].id, 1);
    assert!(brief.left_out[0].reason.contains("60 tokens"), "{brief:?}");
    let (rules, known) = (brief.text.find("a rule"), brief.text.find("a short fact"));
    assert!(rules.is_some() && rules < known, "{}", brief.text);
}

#[test]
fn what_is_known_is_not_repeated() {
    let told = || vec![candidate(Section::Rules, 1, "a rule")];
    let first = compose(told(), 100, None);
    let again = compose(told(), 100, Some(first.version));
    assert_eq!((again.unchanged, again.text.as_str()), (true, ""));
    assert_eq!(again.version, first.version);
    let other = compose(
        vec![candidate(Section::Rules, 1, "another rule")],
        100,
        Some(first.version),
    );
    assert!(!other.unchanged && other.version != first.version);
}

#[test]
fn an_item_is_known_until_it_says_something_else() {
    let rule = candidate(Section::Rules, 1, "a rule");
    let item = compose(vec![rule.clone()], 100, None).items.remove(0);
    let known = format!("{}:{}@{}", item.kind, item.id, item.version);
    let known = [KnownItem::try_from(known).unwrap()];
    assert!(rule.is_among(&known) && !rule.is_among(&[]));
    assert!(!candidate(Section::Rules, 2, "a rule").is_among(&known));
    assert!(!candidate(Section::Rules, 1, "another rule").is_among(&known));
    // What changes by the minute is no news, and where things were left is told again.
    let due = |text: &str, news: &str| Candidate {
        news: Some(news.to_owned()),
        ..candidate(Section::Tasks, 1, text)
    };
    assert!(due("it is due in 5h", "a rule").is_among(&known));
    assert!(!due("a rule", "it is overdue").is_among(&known));
    assert!(!candidate(Section::Resume, 1, "a rule").is_among(&known));
}

#[test]
fn long_texts_are_cut_behind_a_sentence() {
    let text = format!(
        "{} The end of it is here.",
        "One sentence stands here. ".repeat(30)
    );
    let brief = compose(vec![candidate(Section::Known, 1, &text)], 1_000, None);
    assert!(brief.text.contains("here.… [memory 1]"), "{}", brief.text);
    let unbroken = "w".repeat(2_000);
    let brief = compose(vec![candidate(Section::Known, 1, &unbroken)], 1_000, None);
    assert!(brief.text.contains("www… [memory 1]"), "{}", brief.text);
}
