use proptest::prelude::*;

use super::*;
use crate::Kind;

/// Returns a text without its marks, and what they mark: `⟦` and `⟧` around each value.
fn marked(marked: &str) -> (String, Vec<Range<usize>>) {
    let (mut text, mut ranges, mut start) = (String::new(), Vec::new(), 0);
    for c in marked.chars() {
        match c {
            '⟦' => start = text.len(),
            '⟧' => ranges.push(start..text.len()),
            c => text.push(c),
        }
    }
    (text, ranges)
}

/// Returns an error text unless exactly the marked values are found, all of one kind.
fn difference(detector: &Detector, field: &str, kind: &Kind, input: &str) -> Option<String> {
    let (text, expected) = marked(input);
    let findings = detector.find_in_field(field, &text);
    let found: Vec<_> = findings
        .iter()
        .map(|finding| finding.range.clone())
        .collect();
    let fits = found == expected && findings.iter().all(|finding| finding.kind == *kind);
    (!fits).then(|| {
        let seen = findings.iter().map(|f| {
            format!(
                "{}/{} `{}` {:.2}",
                f.kind,
                f.rule,
                &text[f.range.clone()],
                f.confidence
            )
        });
        format!("{input}\n    found {:?}", seen.collect::<Vec<_>>())
    })
}

#[track_caller]
fn check_field(field: &str, kind: &Kind, texts: &[&str]) {
    let detector = Detector::new();
    let wrong: Vec<_> = texts
        .iter()
        .filter_map(|text| difference(&detector, field, kind, text))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        texts.len(),
        wrong.join("\n")
    );
}

/// Checks that exactly the marked values are found.
#[track_caller]
fn check(kind: &Kind, texts: &[&str]) {
    check_field("", kind, texts);
}

#[test]
fn emails() {
    check(
        &Kind::Email,
        &[
            "Write to ⟦ada@lovelace.org⟧.",
            "⟦ada.king+notes@mail.lovelace.co.uk⟧, ⟦x@y.io⟧; <⟦a@b.co⟧> (mailto:⟦c@d.de⟧)",
            "请联系⟦alice@corp.cn⟧谢谢",
            "**⟦a@b.co⟧** `⟦a@b.co⟧` |⟦a@b.co⟧| '⟦a@b.co⟧' [mail](mailto:⟦a@b.co⟧)",
            "⟦o'brien@pub.ie⟧ and ⟦jürgen@münchen.de⟧ and ⟦иван@почта.рф⟧ and ⟦info@例え.jp⟧です",
            r#"{"to":"⟦bob@corp.com⟧","cc":"x\n⟦eve@corp.com⟧\n"}"#,
            "https://corp.com/u?mail=⟦bob%40corp.com⟧&x=1",
            "https://corp.com/u?mail=⟦bob@corp.com⟧&x=1",
            "\"⟦\"john doe\"@corp.com⟧\" noreply: ⟦noreply@github.com⟧",
            "Mail me: ⟦a_b@corp.com⟧.Then call. ⟦bob@corp.com⟧:hello ⟦_x@corp.com⟧ ⟦12345678@qq.com⟧",
            "⟦AMELIA@EXAMPLES.COM⟧",
            "user@host git@github.com:org/repo.git pkg@1.2.3 @decorator logo@2x.png lodash@4.17.21",
            "a@example.com b@mail.example.org c@foo.test d@x.invalid e@host.localhost f@example",
            "ssh bob@db.corp.com; scp x bob@db.corp.com:/srv; https://unpkg.com/react@18.2.0/umd/x.js",
            "ssh://git@github.com/org/repo W@x.shape() foo@bar.service icons@3x.webp @types/node@20.1.0",
            "https://user:password@example.com/x",
        ],
    );
}

#[test]
fn phones() {
    check(
        &Kind::Phone,
        &[
            "Call ⟦+1 555-234-5678⟧ or ⟦+44 20 7946 0958⟧ or ⟦0049 30 123456⟧.",
            "⟦(555) 234-5678⟧, ⟦555-234-5678⟧, ⟦555.234.5678⟧, ⟦001-555-234-5678x55⟧, ⟦(555)234-5678⟧",
            "⟦+49 (0)30 1234567⟧ ⟦+33 6 12 34 56 78⟧ ⟦06 12 34 56 78⟧ ⟦020 7946 0958⟧ ⟦07700 900123⟧",
            "⟦030 1234567⟧, ⟦0171-1234567⟧, ⟦0412 345 678⟧, ⟦98765 43210⟧, ⟦(11) 91234-5678⟧, ⟦03-1234-5678⟧",
            "my mobile is ⟦5552345678⟧",
            "tel: ⟦5552345678⟧",
            "Tel.⟦030123456⟧",
            "电话⟦13812345678⟧",
            "手机号码是⟦13812345678⟧。",
            "телефон ⟦89161234567⟧",
            "My number is ⟦555 2345⟧",
            "phoneNumber: ⟦5552345678⟧",
            "⟦5552345678⟧ (cell)",
            "⟦+1 (555) 234-5678 ext. 5⟧ ⟦555-234-5678 x123⟧",
            "WhatsApp me on ⟦612 345 678⟧",
            "⟦8 (916) 123-45-67⟧",
            "fax ⟦12 34 56 78⟧",
            "हेल्प फोन ⟦९८७६५४३२१०⟧",
            "電話 ⟦０３-１２３４-５６７８⟧",
            "order 12345, phone ⟦555 2345678⟧",
            "tel:⟦+15552345678⟧ <a href=\"tel:⟦+15552345678⟧\">",
            "order 5552345678 invoice 4455667788 ticket #5552345678 tracking 9400111899223",
            "2024-03-15, 15.03.2024, 03/15/2024 10:22, 1710498153, 1710498153123, 48.8566, 2.3522",
            "ISBN 978-3-16-148410-0, 94103-1234, 555-123 = 432, v1.2.3.4, 12345678-1234-1234-1234-123456789012",
            "$1,234,567.89 at 10:22:33 with 0.123456789 and 3.14159265358979 and 1,234,567 rows",
            "mój numer to ⟦512 345 678⟧",
            "⟦555-123-4567⟧",
            "SKU-555-234-5678 and /orders/5552345678 and a1b2c3d4e5 and 2024-03-15T10:22:33.123Z",
            "The population is 83 200 000 and the id is 555 234 5678",
            "1990-2024 and 1234-5678",
            "call me at 10:30 on 2024-03-15",
            "Please call about invoice 20240315",
            "x = 555 - 1234567 * 2",
        ],
    );
    check_field("contact.mobilePhone", &Kind::Phone, &["⟦5552345678⟧"]);
    check_field("order_id", &Kind::Phone, &["5552345678", "555-234-5678"]);
}

#[test]
fn cards() {
    check(
        &Kind::CreditCard,
        &[
            "⟦4111 1111 1111 1111⟧, ⟦4111-1111-1111-1111⟧, ⟦4111111111111111⟧.",
            "card ⟦378282246310005⟧ ⟦3782 822463 10005⟧ ⟦5555555555554444⟧ ⟦6011111111111117⟧",
            "⟦3530111333300000⟧ ⟦2223003122003222⟧ ⟦30569309025904⟧ \"cc\":\"⟦4012888888881881⟧\"",
            "Karte ⟦４１１１１１１１１１１１１１１１⟧, exp 12/27",
            "pay with ⟦4111 1111 1111 1111⟧ 12/25 123",
            "4111111111111112 4444444444444444 0000000000000000 44111111111111111 0.4111111111111111",
            "tracking 4111111111111111, order 4111-1111-1111-1111, IMEI 378282246310005",
            "a4111111111111111 4111111111111111b 4111111111111111-4111",
        ],
    );
}

#[test]
fn ibans() {
    check(
        &Kind::Iban,
        &[
            "⟦DE89 3704 0044 0532 0130 00⟧, ⟦DE89370400440532013000⟧ ⟦gb82west12345698765432⟧",
            "IBAN:⟦FR1420041010050500013M02606⟧. ⟦NL91 ABNA 0417 1643 00⟧; ⟦NO9386011117947⟧",
            "DE88370400440532013000 XX89370400440532013000 DE8937040044053201300 DE893704004405320130001",
        ],
    );
}

#[test]
fn social_security_numbers() {
    check(
        &Kind::UsSsn,
        &[
            "SSN ⟦536-22-8726⟧, ⟦536 22 8726⟧; social security: ⟦536228726⟧",
            "his is ⟦536-22-8726⟧.",
            "000-12-3456 666-12-3456 912-34-5678 536-00-1234 536-22-0000 078-05-1120 219-09-9999",
            "order 536-22-8726, SKU 536-22-8726, part no. 536-22-8726",
            "A536-22-8726 536-22-87261",
        ],
    );
    check_field("ssn", &Kind::UsSsn, &["⟦536228726⟧"]);
}

#[test]
fn national_numbers() {
    check(
        &Kind::NationalId,
        &[
            "NHS number ⟦943 476 5919⟧",
            // As a log or a document within a document says it.
            r#"{"said": "Hello.\nNHS number ⟦943 476 5919⟧"}"#,
            "NINO ⟦AB123456C⟧ ⟦AB 12 34 56 C⟧",
            "SIN: ⟦046 454 286⟧",
            "NIR ⟦1 84 12 76 451 089 46⟧",
            "Steuer-ID ⟦86 095 742 719⟧",
            "DNI ⟦12345678Z⟧, NIE ⟦X1234567L⟧",
            "CF ⟦RSSMRA85T10A562S⟧",
            "CPF ⟦529.982.247-25⟧ CNPJ ⟦11.222.333/0001-81⟧",
            "Aadhaar ⟦2341 2341 2346⟧",
            "PAN number (income tax) ⟦ABCPD1234E⟧",
            "BSN ⟦111222333⟧",
            "PESEL ⟦44051401359⟧",
            "⟦811218-9876⟧",
            "HETU ⟦131052-308T⟧",
            "AHV ⟦756.9217.0769.85⟧",
            "⟦11010519491231002X⟧",
            "RUT ⟦12.345.678-5⟧",
            "NRIC ⟦S1234567D⟧",
            "TC kimlik ⟦10000000146⟧",
            "TFN ⟦123 456 782⟧",
            "⟦85.07.30-033.28⟧",
            "SNILS ⟦112-233-445 95⟧",
            "12345678A 529.982.247-26 2341 2341 2347",
            "order 44051401359 and build 111222333",
            "Z1234567A",
        ],
    );
    check_field("nhs_number", &Kind::NationalId, &["⟦9434765919⟧"]);
}

#[test]
fn internet_addresses() {
    check(
        &Kind::IpAddress,
        &[
            "⟦8.8.8.8⟧, ⟦1.1.1.1⟧:53, ⟦52.95.110.1⟧/24 http://⟦93.184.216.34⟧/x from ⟦81.2.69.142⟧.",
            "⟦2a00:1450:4001:81b::200e⟧ [⟦2606:4700:4700::1111⟧]:443 ⟦2a00:1450:4001:081b:0000:0000:0000:200e⟧/64",
            "10.0.0.1 172.16.3.4 192.168.1.1 127.0.0.1 169.254.1.1 100.64.0.1 224.0.0.1 0.0.0.0 255.255.255.255",
            "192.0.2.1 198.51.100.7 203.0.113.9 2001:db8::1 ::1 fe80::1 fd00::1 ff02::1",
            "version 5.6.7.8, v1.2.3.4, foo==1.2.3.4, pkg@1.2.3.4, 1.2.3.4.5, lib-1.2.3.4.tar.gz, Chrome/99.0.4.51",
            "3.2.1.4 Results\n# 1.2.3.4 Scope",
            "1.3.6.1 1.3.6.1.4.1.311 10:22:33 aa:bb:cc:dd:ee:ff abc::def std::mem 999.1.1.1",
        ],
    );
}

#[test]
fn urls_with_credentials() {
    check(
        &Kind::Url,
        &[
            "⟦postgres://app:s3cr3t@db.corp.com:5432/x?ssl=1⟧, (⟦https://bob:hunter2@corp.com⟧) \"⟦redis://:p4ss@10.0.0.3:6379/0⟧\"",
            "git clone ⟦https://abcdef0123456789abcd@git.corp.com/x.git⟧",
            "ssh://git@github.com/x https://bob@corp.com/x https://${USER}:${PASS}@corp.com https://<user>:<password>@corp.com",
            "https://user:password@example.com https://corp.com/a:b@c http://user:pass@localhost/",
        ],
    );
    check(
        &Kind::Secret,
        &[
            "https://corp.com/x?a=1&access_token=⟦a8f5f167f44f4964e6c998dee827110c⟧&b=2",
            "https://x.blob.core.windows.net/c?sv=2022&sig=⟦kJ8f5f167f44f4964e6c998dee%3D⟧&se=1",
            "https://s3.amazonaws.com/b/k?X-Amz-Signature=⟦fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024⟧",
        ],
    );
}

#[test]
fn paths() {
    check(
        &Kind::Path,
        &[
            "see ⟦/home/alice/x.txt⟧, ⟦/Users/bob/Library/Application Support/Code/u.json⟧ and ⟦/root/.ssh/id_rsa⟧.",
            r"⟦C:\Users\alice\x.txt⟧ and ⟦C:/Users/alice/x⟧ ⟦C:\Users\John Smith\Documents\a.docx⟧",
            r#"{"p":"⟦C:\\Users\\alice\\x⟧","q":"⟦/home/alice/My Documents/x.txt⟧"}"#,
            "⟦~/.ssh/config⟧ ⟦~alice/x⟧ file://⟦/home/alice/a⟧ ⟦/mnt/c/Users/alice/x⟧ ⟦/c/Users/alice/x⟧ ⟦/var/home/al/x⟧",
            "  File \"⟦/home/al/x.py⟧\", line 3\n    at ⟦/Users/bob/a.js⟧:10:5\nPATH=⟦/home/al/bin⟧:/usr/bin:⟦/home/al/.cargo/bin⟧",
            r"⟦\\server\share\Users\x\y⟧ `⟦/home/alice⟧`",
            "/home /home/index.html https://site/home/alice GET /home/dashboard HTTP/1.1 /Users/{id} /users/123 /Users/123/x",
            r"/home/user/x /home/$USER /home/<name> C:\Users\Public\x C:\Users\Default %USERPROFILE%\x C:\Windows",
            "~5 ~= ~> 2.0 HEAD~2 ~approx /usr/home x/home/alice and/or 2/home/bob href=\"/home/alice\"",
        ],
    );
}

#[test]
fn only_the_home_is_masked() {
    let masked = |text: &str| text[Detector::new().find(text)[0].masked.clone()].to_owned();
    assert_eq!(masked("in /home/alice/a/b.txt"), "/home/alice");
    assert_eq!(masked(r"in C:\Users\Ann Lee\a.txt"), r"C:\Users\Ann Lee");
    assert_eq!(masked("in ~/x"), "~");
    assert_eq!(masked("in /home/alice/a b.txt"), "/home/alice");
}

#[test]
fn a_secret_in_a_path_is_masked_too() {
    let text = "in /home/alice/ghp_a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01/x";
    let findings = Detector::new().find(text);
    let found: Vec<_> = findings
        .iter()
        .map(|f| (&f.kind, f.range.clone(), f.masked.clone()))
        .collect();
    assert_eq!(
        found,
        [(&Kind::Path, 3..15, 3..14), (&Kind::Secret, 15..55, 15..55)]
    );
}

#[test]
fn homes() {
    let home = |path: &'static str| home_prefix(path).map(|range| &path[range]);
    for (path, expected) in [
        ("/home/alice/x", "/home/alice"),
        ("/Users/alice", "/Users/alice"),
        ("/root", "/root"),
        ("/root/x", "/root"),
        (r"C:\Users\alice\x", r"C:\Users\alice"),
        ("C:/Users/alice/x", "C:/Users/alice"),
        (r"\\?\C:\Users\alice\x", r"C:\Users\alice"),
        (r"\\server\share\Users\x\y", r"\\server\share\Users\x"),
        ("/mnt/c/Users/alice/x", "/mnt/c/Users/alice"),
        ("/c/Users/alice", "/c/Users/alice"),
        ("file:///home/alice/x", "/home/alice"),
        ("/var/home/alice/x", "/var/home/alice"),
        ("/export/home/alice", "/export/home/alice"),
        ("~", "~"),
        ("~/x", "~"),
        ("~alice/x", "~alice"),
        ("~alice", "~alice"),
        ("file:///C:/Users/alice/x", "C:/Users/alice"),
        (r"c:\users\José Núñez\x", r"c:\users\José Núñez"),
    ] {
        assert_eq!(home(path), Some(expected), "{path}");
    }
    for path in [
        "/home",
        "/home/",
        "/usr/lib",
        "/rooted",
        "x",
        "",
        r"C:\Users\Public\x",
        "/home/user",
        "/Users/Shared/x",
        "~5",
        "/home/$USER/x",
        "~~",
    ] {
        assert_eq!(home(path), None, "{path}");
    }
}

#[test]
fn keys_by_format() {
    check(
        &Kind::Secret,
        &[
            "⟦AKIAZ7Q2WERTYUIOP4KL⟧ ⟦ghp_a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01⟧ ⟦glpat-a8Kd93jfL0sPqW7xYz12⟧",
            "⟦xoxb-123456789012-1234567890123-a8Kd93jfL0sPqW7xYz12Bc45⟧ ⟦sk_live_a8Kd93jfL0sPqW7xYz12Bc45⟧",
            "⟦sk-proj-a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01⟧ ⟦sk-ant-api03-a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01-_AA⟧",
            "⟦AIzaSyA8Kd93jfL0sPqW7xYz12Bc45De67Fg89H⟧ ⟦npm_a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01⟧ ⟦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⟧",
            "https://x.y/z ⟦https://hooks.slack.com/services/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⟧",
            "⟦123456789:AAa8Kd93jfL0sPqW7xYz12Bc45De67Fg89H⟧ ⟦0123456789abcdef0123456789abcdea-us12⟧",
            "⟦eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U⟧.",
            "⟦abc8Q~a8Kd93jfL0sPqW7xYz12Bc45De67Fg89H⟧",
            "AKIAIOSFODNN7EXAMPLE pk_live_a8Kd93jfL0sPqW7xYz12Bc45 req_a8Kd93jfL0sPqW cus_a8Kd93jfL0sPqW sk-learn-extension-components",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx sk-your-key-here eyJhbGciOiJIUzI1NiJ9 npm_config_registry hf_hub_download",
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 da39a3ee5e6b4b0d3255bfef95601890afd80709 sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "integrity=sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
        ],
    );
}

#[test]
fn private_keys() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\nNMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s\n";
    let block =
        format!("a\n⟦-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----⟧\nb");
    let escaped = format!(
        "\"⟦{}⟧\\n\"",
        format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----")
            .replace('\n', "\\n")
    );
    let torn = format!(
        "⟦-----BEGIN OPENSSH PRIVATE KEY-----\n{}⟧\nAnd then it stopped.",
        body.trim_end()
    );
    let pgp = format!(
        "⟦-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{body}=aB3d\n-----END PGP PRIVATE KEY BLOCK-----⟧"
    );
    let public = format!("-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----");
    check(
        &Kind::Secret,
        &[
            &block,
            &escaped,
            &torn,
            &pgp,
            &public,
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        ],
    );
}

#[test]
fn a_path_hides_nothing_that_stands_in_it() {
    let found = |text: &str| {
        let findings = Detector::new().find(text);
        let masked = findings.into_iter().map(|it| text[it.masked].to_owned());
        masked.collect::<Vec<_>>()
    };
    assert_eq!(
        found("/home/ada/mail/bob@lovelace.org/inbox"),
        ["/home/ada", "bob@lovelace.org"]
    );
    assert_eq!(
        found(r"C:/Users/ada/todo.txt\npassword=hunter2\nsee"),
        ["C:/Users/ada", "hunter2"]
    );
}

#[test]
fn assigned_secrets() {
    check(
        &Kind::Secret,
        &[
            "password=⟦hunter2⟧",
            r#"{"said": "Hello.\napi_key = ⟦a8Kd93jfL0sPqW7x⟧"}"#,
            "\"api_key\": \"⟦a8Kd93jfL0sPqW7x⟧\"",
            "export SECRET_TOKEN=⟦a8Kd93jfL0sPqW7x⟧",
            "Authorization: Bearer ⟦a8Kd93jfL0sPqW7xYz12⟧",
            "Authorization: Basic ⟦YWxhZGRpbjpvcGVuc2VzYW1l⟧",
            "the token is ⟦a8Kd93jfL0sPqW7x⟧.",
            "pwd: ⟦Sommer2024!⟧",
            "Server=db;User=sa;Password=⟦Geheim12⟧;Encrypt=1",
            "db:\n  password: ⟦tr0ub4dor&3⟧\n",
            "DB_PASSWORD=⟦verysecretthing⟧\n",
            "password = \"⟦correcthorse⟧\"",
            "--password ⟦hunter2x⟧ -v",
            "--token=⟦a8Kd93jfL0sPqW7x⟧",
            "const clientSecret = '⟦a8Kd93jfL0sPqW7xYz⟧';",
            "my password is ⟦hunter2⟧",
            "The password for the staging DB is ⟦hunter2!⟧",
            "<password>⟦hunter2⟧</password>",
            "{\\\"password\\\": \\\"⟦hunter2x⟧\\\"}",
            "x-api-key: ⟦a8Kd93jfL0sPqW7x⟧",
            "API key: ⟦a8Kd93jfL0sPqW7x⟧",
            "**Password:** ⟦hunter22⟧",
            "AccountKey=⟦a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01==⟧;",
            "aws_secret_access_key = ⟦a8Kd93jfL0sPqW7xYz12/c45De67Fg89Hi01aKdj⟧",
            "HEROKU_API_KEY=⟦12345678-90ab-4cde-8f01-234567890abc⟧",
            "パスワード: ⟦hunter2x⟧",
            "curl -H 'Authorization: token ⟦a8Kd93jfL0sPqW7x⟧'",
            "password=your_password api_key: xxxx token=<token> secret=${SECRET} token={{ token }} password=process.env.PASS",
            "password: os.environ['PASS'] password=changeme token=null secret: true password = getpass() password: string",
            "password: must be at least 12 characters",
            "the token is invalid",
            "The token is expired.",
            "password = user_input",
            "max_tokens: 4096 next_token=a8Kd93jfL0sPqW7x",
            "\"password\": \"Enter your password\" password_file: /run/secrets/x token_type: bearer primary_key=12345678 public_key: a8Kd93jfL0sPqW7x",
            "tokens: 128 key: value keyboard=qwerty1 secretary: Jane7 passenger=Bob22 id: 550e8400-e29b-41d4-a716-446655440000",
            "self.password = password; connect(password=password, token=token)",
            "if password == \"hunter2\"",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUA",
            "password=[secret:0123456789abcdef] token: [secret:0123456789abcdef]",
            "reset your password to continue",
            "secretName: tls-secret-2",
            "fn f(password: &str, token: Option<String>)",
            "const token = await getToken();",
            "password: ********",
            "the secret is out",
            "key is 256-bit",
        ],
    );
    check_field(
        "db.password",
        &Kind::Secret,
        &["⟦geheimnis⟧", "changeme", ""],
    );
    check_field(
        "apiKey",
        &Kind::Secret,
        &["⟦a8Kd93jfL0sPqW7x⟧", "your-api-key"],
    );
    check_field("authToken", &Kind::Secret, &["Bearer ⟦a8Kd93jfL0sPqW7x⟧"]);
    check_field("token_count", &Kind::Secret, &["a8Kd93jfL0sPqW7x"]);
}

#[test]
fn tokens_are_never_found_again() {
    let text = "[email:0123456789abcdef] [x:0123456789abcdef] [Email:0123456789abcdef] [email:0123456789abcde] [a:0123456789abcdef";
    assert_eq!(tokens(text).collect::<Vec<_>>(), [0..24, 25..45]);
    assert_eq!(
        Detector::new().find("phone [phone:5552345678123456] secret=[secret:0123456789abcdef]"),
        []
    );
}

#[test]
fn allowed_values_are_not_found() {
    let detector = Detector::new().allowing(
        [
            "Bob@Corp.com",
            "@team.org",
            "*.lab.net",
            "+1 (555) 234-5678",
        ]
        .map(String::from),
    );
    let text = "bob@corp.com x@team.org x@a.team.org y@lab.net y@b.lab.net +15552345678 https://u:p4ssw@db.lab.net/";
    let found: Vec<_> = detector
        .find(text)
        .into_iter()
        .map(|f| text[f.range].to_owned())
        .collect();
    assert_eq!(found, ["x@a.team.org"]);
}

#[test]
fn patterns_of_the_configuration() {
    let detector = Detector::new()
        .with_pattern("badge", r"\bB-\d{4}\b")
        .unwrap();
    let findings = detector.find("badge B-1234, B-12345");
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].kind.as_str(), "badge");
    assert_eq!(findings[0].range, 6..12);
    for (name, regex) in [
        ("domain", "x"),
        ("Badge", "x"),
        ("", "x"),
        ("1a", "x"),
        ("email", "x"),
        ("a", "("),
        ("a", "x*"),
        ("a", r"\w{1000}{1000}"),
        (&"a".repeat(33), "x"),
    ] {
        assert!(
            Detector::new().with_pattern(name, regex).is_err(),
            "{name} {regex}"
        );
    }
    assert!(
        Detector::new()
            .with_pattern("a", "x")
            .unwrap()
            .with_pattern("a", "y")
            .is_err()
    );
}

#[test]
fn a_threshold_decides() {
    let text = "maybe 555 234";
    assert_eq!(
        Detector::new().with_threshold(1.0).find("ada@lovelace.org"),
        []
    );
    assert_eq!(Detector::new().with_threshold(0.0).find(text), []);
}

#[test]
fn ranges_in_characters() {
    let text = "é ada@lovelace.org ü bob@corp.com";
    let findings = Detector::new().find(text);
    assert_eq!(character_ranges(text, &findings), [2..18, 21..33]);
}

/// A megabyte of what could make a scanner look back or ahead for ever. It would not end in any
/// time that a test may take if it did.
#[test]
fn adversarial_texts_take_linear_time() {
    let detector = Detector::new();
    for part in [
        "@",
        "a.",
        "1",
        "[",
        "/home/",
        "-----BEGIN",
        "-----BEGIN RSA PRIVATE KEY-----",
        "A7b+",
        "a@",
        "1 ",
        "1-",
        "://a:b@h",
        "eyJ-",
        "eyJa.",
        "password=",
        "password ",
        "key: ",
        "%40",
        "\\",
        "~/",
        "é@",
        "~a/",
        "C:\\Users\\",
        "1.",
        ":",
        "a:b",
        "::",
        "\\\\a",
        "+1",
        "(1)",
        "\u{200b}1",
        "\"",
        "token is ",
        "sk-",
        "<password>",
        "GB82 ",
        "x@[",
        "https://",
        "-",
        "/Users/A ",
        "Bearer a",
        "[a:0123456789abcde",
    ] {
        let text = part.repeat((1 << 20) / part.len());
        let findings = detector.find(&text);
        assert!(
            findings
                .windows(2)
                .all(|pair| pair[0].range.end <= pair[1].range.start),
            "{part}"
        );
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "ada@lovelace.org",
        "+1 555-234-5678",
        "4111 1111 1111 1111",
        "DE89370400440532013000",
        "536-22-8726",
        "8.8.8.8",
        "https://u:p4ss@corp.com/x",
        "/home/alice/x y/z",
        r"C:\Users\Ann Lee\x",
        "password=hunter2",
        "token is ",
        "電話",
        "é",
        "\u{200b}",
        "[email:0123456789abcdef]",
        "ghp_a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "phone ",
        " ",
        "\n",
        "\"",
        "~/x",
        ":",
        "०१२३४५६७८९",
        "@",
        "=",
        "1",
        "/",
        "\\",
        "-",
        ".",
        "(",
        ")",
        "+",
        "%40",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    ]);
    prop::collection::vec(
        prop_oneof![known.prop_map(String::from), any::<String>(), "[ -~]{0,12}"],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn findings_are_ordered_and_whole(text in pieces()) {
        let findings = Detector::new().find(&text);
        let mut end = 0;
        for finding in &findings {
            prop_assert!(finding.range.start >= end && !finding.range.is_empty());
            prop_assert!(text.get(finding.range.clone()).is_some() && text.get(finding.masked.clone()).is_some());
            prop_assert!(finding.masked.start >= finding.range.start && finding.masked.end <= finding.range.end);
            end = finding.range.end;
        }
        for (range, finding) in character_ranges(&text, &findings).into_iter().zip(&findings) {
            let value: String = text.chars().skip(range.start).take(range.len()).collect();
            prop_assert_eq!(&value, &text[finding.range.clone()]);
        }
    }

    #[test]
    fn what_was_replaced_is_not_found_again(text in pieces()) {
        let detector = Detector::new();
        let (mut replaced, mut end) = (String::new(), 0);
        for finding in detector.find(&text) {
            replaced.push_str(&text[end..finding.masked.start]);
            replaced.push_str(&format!("[{}:0123456789abcdef]", finding.kind));
            end = finding.masked.end;
        }
        replaced.push_str(&text[end..]);
        let tokens: Vec<_> = tokens(&replaced).collect();
        for finding in detector.find(&replaced) {
            prop_assert!(!token::overlaps(&tokens, &finding.range), "{:?} in {}", finding, replaced);
        }
    }

    #[test]
    fn no_path_makes_a_home_panic(path in "[~/\\\\C:a-zU.$éh]{0,24}") {
        if let Some(range) = home_prefix(&path) {
            prop_assert!(path.get(range).is_some());
        }
    }
}
