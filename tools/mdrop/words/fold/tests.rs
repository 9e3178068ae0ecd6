//! What is found by what, in many languages.

use super::*;

fn cut(text: &str) -> String {
    words(text, Purpose::Index).join(" ")
}

/// Whether the text has the asked words in a row, the last of them perhaps longer if it is one character of an unspaced script.
fn finds(text: &str, asked: &str) -> bool {
    let (text, asked) = (words(text, Purpose::Index), words(asked, Purpose::Ask));
    let alone =
        asked.last().is_some_and(|word| word.chars().all(is_unspaced) && word.chars().filter(|c| !is_combining_mark(*c)).count() == 1);
    let fits = |(n, (word, asked_word)): (usize, (&String, &String))| {
        word == asked_word || (alone && n + 1 == asked.len() && word.starts_with(asked_word.as_str()))
    };
    !asked.is_empty() && text.windows(asked.len()).any(|window| window.iter().zip(&asked).enumerate().all(fits))
}

#[test]
fn case_accents_and_ligatures_make_no_difference() {
    for (text, folded) in [
        ("Stra\u{df}e STRASSE Ma\u{1e9e}", "strasse strasse mass"),
        ("M\u{fc}ller M\u{dc}LLER Mu\u{308}ller", "muller muller muller"),
        ("\u{c9}COLE \u{e9}cole l'\u{e9}cole \u{152}uvre c\u{153}ur", "ecole ecole l ecole oeuvre coeur"),
        ("\u{130}stanbul ISTANBUL \u{131}stanbul istanbul", "istanbul istanbul istanbul istanbul"),
        ("\u{141}\u{f3}d\u{17a} \u{17b}\u{d3}\u{141}W gr\u{fc}\u{15f}", "lodz zolw grus"),
        (
            "\u{39f}\u{394}\u{39f}\u{3a3} \u{3bf}\u{3b4}\u{3cc}\u{3c2} \u{38f}\u{3c1}\u{3b1}",
            "\u{3bf}\u{3b4}\u{3bf}\u{3c3} \u{3bf}\u{3b4}\u{3bf}\u{3c3} \u{3c9}\u{3c1}\u{3b1}",
        ),
        (
            "\u{41c}\u{41e}\u{421}\u{41a}\u{412}\u{410} \u{451}\u{43b}\u{43a}\u{430}",
            "\u{43c}\u{43e}\u{441}\u{43a}\u{432}\u{430} \u{435}\u{43b}\u{43a}\u{430}",
        ),
        ("\u{5e9}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
        (
            "\u{645}\u{64f}\u{62d}\u{64e}\u{645}\u{651}\u{62f} \u{623}\u{62d}\u{645}\u{62f} \u{643}\u{640}\u{640}\u{628}\u{64a}\u{631}",
            "\u{645}\u{62d}\u{645}\u{62f} \u{627}\u{62d}\u{645}\u{62f} \u{643}\u{628}\u{64a}\u{631}",
        ),
        ("\u{660}\u{661}\u{662} \u{6f3} \u{967}\u{968}", "012 3 12"),
        ("\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}", "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}"),
        ("Nguy\u{1ec5}n \u{110}\u{1ed7}", "nguyen do"),
        ("\u{fb01}le \u{ff21}\u{ff22}\u{ff23} \u{2460} x\u{b2}", "file abc 1 x2"),
        ("Silben\u{ad}trennung zero\u{200b}width", "silbentrennung zero width"),
        ("S\u{f8}ren \u{c6}r\u{f8} \u{c5}rhus \u{de}\u{f3}r", "soren aero arhus thor"),
    ] {
        assert_eq!(cut(text), folded, "{text}");
        assert_eq!(cut(folded), folded, "{folded} again");
    }
}

#[test]
fn addresses_numbers_and_joined_words_are_found_whole_and_in_part() {
    for (text, asked) in [
        ("write to Alice.B@Mail.Example.com now", "alice.b@mail.example.com"),
        ("write to alice@example.com now", "example.com"),
        ("write to alice@example.com now", "ALICE"),
        ("the e-mail of Jean-Luc O'Brien", "e-mail"),
        ("the e-mail of Jean-Luc O'Brien", "o\u{2019}brien"),
        ("the e-mail of Jean-Luc O'Brien", "luc"),
        ("invoice 2026-0042 of 12.345,67", "2026-0042"),
        ("invoice 2026-0042 of 12.345,67", "0042"),
        ("final_report-v2.pdf", "report"),
        ("final_report-v2.pdf", "final_report-v2.pdf"),
    ] {
        assert!(finds(text, asked), "{asked} in {text}");
    }
    assert!(!finds("alice@example.com", "example.org") && !finds("example dot com", "example.com"));
}

#[test]
fn scripts_without_blanks_are_found_by_any_two_characters_in_a_row() {
    for (text, asked) in [
        ("\u{6771}\u{4eac}\u{90fd}\u{5e81}\u{3067}\u{4f1a}\u{8b70}", "\u{6771}\u{4eac}"),
        ("\u{6771}\u{4eac}\u{90fd}\u{5e81}\u{3067}\u{4f1a}\u{8b70}", "\u{4eac}\u{90fd}\u{5e81}"),
        ("\u{6771}\u{4eac}\u{90fd}\u{5e81}\u{3067}\u{4f1a}\u{8b70}", "\u{4f1a}\u{8b70}"),
        ("\u{6771}\u{4eac}\u{90fd}\u{5e81}\u{3067}\u{4f1a}\u{8b70}", "\u{8b70}"),
        ("\u{6771}\u{4eac}\u{90fd}\u{5e81}\u{3067}\u{4f1a}\u{8b70}", "\u{6771}"),
        ("\u{304b}\u{3099}\u{304f}", "\u{304c}\u{304f}"),
        ("\u{ff76}\u{ff9e}\u{ff72}\u{ff84}\u{ff9e}", "\u{30ac}\u{30a4}\u{30c9}"),
        ("\u{6211}\u{7684}\u{53d1}\u{7968}\u{5728}\u{9644}\u{4ef6}\u{91cc}", "\u{53d1}\u{7968}"),
        ("\u{6211}\u{7684}iPhone\u{624b}\u{673a}", "iphone"),
        ("\u{6211}\u{7684}iPhone\u{624b}\u{673a}", "iphone\u{624b}\u{673a}"),
        ("\u{6771}\u{4eac} \u{30bf}\u{30ef}\u{30fc} 2026", "\u{6771}\u{4eac} \u{30bf}\u{30ef}\u{30fc} 2026"),
        ("\u{c11c}\u{c6b8}\u{c5d0}\u{c11c} \u{d68c}\u{c758}\u{b85d}", "\u{c11c}\u{c6b8}"),
        ("\u{c11c}\u{c6b8}\u{c5d0}\u{c11c} \u{d68c}\u{c758}\u{b85d}", "\u{d68c}\u{c758}"),
        (
            "\u{e01}\u{e32}\u{e23}\u{e1b}\u{e23}\u{e30}\u{e0a}\u{e38}\u{e21}\u{e2a}\u{e32}\u{e21}\u{e31}\u{e0d}",
            "\u{e1b}\u{e23}\u{e30}\u{e0a}\u{e38}\u{e21}",
        ),
        (
            "\u{e01}\u{e32}\u{e23}\u{e1b}\u{e23}\u{e30}\u{e0a}\u{e38}\u{e21}\u{e2a}\u{e32}\u{e21}\u{e31}\u{e0d}",
            "\u{e2a}\u{e32}\u{e21}\u{e31}\u{e0d}",
        ),
    ] {
        assert!(finds(text, asked), "{asked} in {text}: {} in {}", words(asked, Purpose::Ask).join("|"), cut(text));
    }
    assert!(!finds("\u{6771}\u{4eac}\u{90fd}", "\u{4eac}\u{6771}") && !finds("\u{6771}\u{4eac}\u{90fd}", "\u{6771}\u{90fd}"));
}

#[test]
fn a_word_without_end_and_marks_without_letters_stay_short() {
    assert_eq!(cut(&"x".repeat(10_000)).len(), LONGEST);
    assert!(cut(&format!("\u{e01}{}", "\u{e38}".repeat(10_000))).len() < 2 * LONGEST);
    assert!(cut(&"\u{94d}".repeat(10_000)).len() <= 3 * LONGEST);
    assert_eq!(cut("\u{1f600} -- \u{2026} !"), "");
}
