//! Users files with a mistake, and how it is told.

use super::*;

fn told(text: &str) -> String {
    let error = Users::parse(text).map(|_| ()).unwrap_err();
    assert_eq!(error.status(), Status::Config, "{text}");
    error.to_string()
}

/// A user with these aliases, as they stand between the brackets.
fn user(name: &str, aliases: &str) -> String {
    format!("[[user]]\nname = \"{name}\"\naliases = [{aliases}]\n")
}

#[test]
fn a_mistake_is_told_with_its_line_and_its_user() {
    let cases = [
        ("[[user]]\nname = \"a\"\nalias = []\n", "line 3: unknown key “alias”; did you mean “aliases”?"),
        ("[[user]]\nname = \"a\"\naliases = [{ adress = \"a@x.example\" }]\n", "line 3: unknown key “adress”; did you mean “address”?"),
        ("[[users]]\n", "line 1: unknown key “users”; did you mean “user”?"),
        ("[[user]]\nname = \"a\"\naliases = [\"b\"]\n", "line 1: user “a”: “b” is not an address"),
        ("[[user]]\nname = \"a\"\naliases = [\"b**@x.example\"]\n", "line 1: user “a”: “b**@x.example” has more than one *"),
        ("[[user]]\nname = \"a\"\naliases = [\"b@*.example\"]\n", "line 1: user “a”: “b@*.example” is not an address"),
        ("\n[[user]]\nname = \"@catchall\"\n", "line 2: user “@catchall”: a name can't be empty, begin with @, or hold control characters"),
        ("[[user]]\nname = \"*@x.example\"\n", "line 1: user “*@x.example”: a name can't be a wildcard; give it as an alias"),
        ("[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"\n", "line 3: user “a”: stands in the list twice, on line 1 too"),
        (
            "[[user]]\nname = \"a@x.example\"\nuntil = 2020-01-01\n[[user]]\nname = \"A@X.example\"\nfrom = 2020-01-02\n",
            "line 4: user “A@X.example”: stands in the list twice, on line 1 too",
        ),
        ("[[user]]\nname = \"a\"\nfrom = 2020-01-02\nuntil = \"2020-01-01\"\n", "line 1: user “a”: from is not before until"),
        (
            "[[user]]\nname = \"a\"\nfrom = 2020-01-02T00:00:00\n",
            "line 3: “2020-01-02T00:00:00” is not a date such as 2023-06-30, nor a time with its offset such as 2023-06-30T12:00:00Z",
        ),
        (
            "[[user]]\nname = \"a\"\nuntil = 2020-12-31\naliases = [{ address = \"a@x.example\", from = 2021-01-01 }]\n",
            "line 1: user “a”: “a@x.example”: is theirs from 2021-01-01T00:00:00Z, and the user is one only until 2021-01-01T00:00:00Z",
        ),
        ("[[group]]\naddress = \"t@x.example\"\nmembers = []\n", "line 1: group “t@x.example”: has no members"),
        (
            "[[group]]\naddress = \"t@x.example\"\nmembers = [\"ghost\"]\n",
            "line 1: group “t@x.example”: its member “ghost” is neither a user's name nor an address of one",
        ),
        ("", "names no user"),
        ("# nothing\n[domain-aliases]\n\"a.example\" = \"b.example\"\n", "names no user"),
    ];
    for (text, expected) in cases {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn two_claims_to_one_address_at_one_time_name_both_and_the_time() {
    let two = |a: &str, b: &str| format!("{}{}", user("a@x.example", a), user("b", b));
    assert_eq!(told(&two("", "\"A@X.example\"")), "line 4: user “b”: “A@X.example” belongs to user “a@x.example” (line 1), too");
    assert_eq!(
        told(&two("{ address = \"i@x.example\", until = 2020-06-30 }", "{ address = \"i@x.example\", from = \"2020-06-30\" }")),
        "line 4: user “b”: “i@x.example” belongs to user “a@x.example” (line 1), too from 2020-06-30T00:00:00Z until 2020-07-01T00:00:00Z"
    );
    assert!(told(&two("\"*@x.example\"", "\"*@X.example\"")).contains("“*@X.example” belongs to user “a@x.example”"));
    let tie = told(&two("\"ab-*@x.example\"", "\"*-cd@x.example\""));
    assert_eq!(
        tie,
        "“ab-*@x.example” of user “a@x.example” (line 1) and “*-cd@x.example” of user “b” (line 4) fit the same addresses equally well; make one of them longer"
    );
    let group = "[[group]]\naddress = \"A@x.example\"\nmembers = [\"b\"]\n";
    assert!(
        told(&two("", "").replace("aliases = []\n", "").replace("[[user]]\nname = \"b\"\n", &format!("[[user]]\nname = \"b\"\n{group}")))
            .contains("group “A@x.example”: “A@x.example” belongs to user")
    );
    for good in [
        two("{ address = \"i@x.example\", until = 2020-06-30 }", "{ address = \"i@x.example\", from = 2020-07-01 }"),
        two(
            "{ address = \"i@x.example\", until = 2020-06-30T12:00:00Z }",
            "{ address = \"i@x.example\", from = 2020-06-30T14:00:00+02:00 }",
        ),
        two("{ address = \"ab-*@x.example\", until = 2020-06-30 }", "{ address = \"*-cd@x.example\", from = 2020-07-01 }"),
        two("{ address = \"a@x.example\", until = 2020-06-30 }", "{ address = \"a@x.example\", from = 2020-07-01 }"),
        two("\"i@x.example\", \"I@x.example\", \"ab-*@x.example\", \"*-cd@x.example\"", "\"ab-*@y.example\", '\"*\"@x.example'"),
    ] {
        assert!(Users::parse(&good).is_ok(), "{good}: {:?}", Users::parse(&good).map(|_| ()));
    }
}

#[test]
fn domain_aliases_lead_somewhere_and_have_no_wildcards() {
    let with = |aliases: &str| format!("{}[domain-aliases]\n{aliases}", user("a", "\"*@w.example\""));
    assert!(
        told(&with("\"a.example\" = \"a.example\"\n"))
            .contains("line 5: domain-aliases: “a.example”: stands, through others or at once, for itself")
    );
    assert!(told(&with("\"a.example\" = \"b.example\"\n\"b.example\" = \"a.example\"\n")).contains("for itself"));
    assert!(
        told(&with("\"c.example\" = \"a.example\"\n\"a.example\" = \"b.example\"\n\"b.example\" = \"a.example\"\n")).contains("for itself")
    );
    assert!(told(&with("\"A.example\" = \"b.example\"\n\"a.example\" = \"c.example\"\n")).contains("stands there twice"));
    assert!(told(&with("\"a b\" = \"b.example\"\n")).contains("“a b” is not a domain"));
    assert_eq!(
        told(&with("\"w.example\" = \"b.example\"\n")),
        "line 5: domain-aliases: “w.example”: user “a” (line 1) has a wildcard there; give it in b.example, which the domain stands for"
    );
    let users = Users::parse(&with("\"a.example\" = \"b.example\"\n\"b.example\" = \"c.example\"\n")).unwrap();
    assert_eq!(users.aliases.get("a.example").map(AsRef::as_ref), Some("c.example"));
}

#[test]
fn members_are_users_by_name_or_by_an_address_while_it_is_theirs() {
    let text = "[[user]]\nname = \"a\"\naliases = [{ address = \"desk@x.example\", until = 2020-12-31 }]\n[[user]]\nname = \"b\"\naliases = [{ address = \"desk@x.example\", from = 2021-01-01 }]\n[[group]]\naddress = \"team@x.example\"\nmembers = [\"Desk@x.example\"]\n";
    let users = Users::parse(text).unwrap();
    let at = |time: &str| users.holders(users.exact("team", "x.example").unwrap(), time.parse().ok(), "").users;
    assert_eq!((at("2020-06-01T00:00:00Z"), at("2021-06-01T00:00:00Z")), (vec!["a".into()], vec!["b".into()]));
    let nested = format!("{text}[[group]]\naddress = \"all@x.example\"\nmembers = [\"team@x.example\"]\n");
    assert!(told(&nested).contains("its member “team@x.example” is a group; name its members"));
}

#[test]
fn json_lines_say_what_the_file_says_and_a_mistake_is_told_with_its_line() {
    let told = |text: &str| Users::parse_lines(text).map_err(|e| (e.status(), e.to_string())).unwrap_err();
    let cases = [
        ("{\"name\":\"a\"}\n{\"name\":", "line 2: EOF while parsing a value"),
        ("{\"name\":\"a\"}\n\n{\"nmae\":\"b\"}\n", "line 3: unknown key “nmae”; did you mean “name”?"),
        ("{\"name\":\"a\",\"name\":\"b\"}", "line 1: duplicate field `name`"),
        ("{\"aliases\":[]}", "line 1: is neither a user (name), nor a group (address and members), nor domain-aliases"),
        ("{\"name\":\"a\",\"members\":[]}", "line 1: is neither a user (name), nor a group (address and members), nor domain-aliases"),
        ("[\"a\"]", "line 1: is not a JSON object"),
        ("{\"name\":\"a\",\"from\":5}", "line 1: invalid type: integer `5`, expected a date such as 2023-06-30"),
        (
            "{\"name\":\"a@x.example\"}\n{\"name\":\"b\",\"aliases\":[\"a@x.example\"]}",
            "line 2: user “b”: “a@x.example” belongs to user “a@x.example” (line 1), too",
        ),
        ("{\"domain-aliases\":{\"a.example\":\"b.example\"}}", "names no user"),
    ];
    for (text, expected) in cases {
        let (status, what) = told(text);
        assert!(status == Status::Config && what.starts_with(expected), "{text}: {what}");
    }
    assert!(
        Users::parse_lines(
            "{\"name\":\"a\",\"aliases\":[{\"address\":\"a@x.example\",\"until\":\"2020-01-01\"}],\"from\":\"2019-01-01T00:00:00Z\"}\r\n"
        )
        .is_ok()
    );
}
